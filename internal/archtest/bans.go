package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// machineImports are the packages of others that a Machine may use; of the standard library it may use all but
// bannedImports.
var machineImports = []string{"github.com/gaissmai/bart"}

// bannedImports are packages of the standard library that a Machine has no use for, with the reason.
var bannedImports = map[string]string{
	"context":     "a Machine has no goroutine to cancel",
	"crypto/rand": "random numbers come from the injected generator",
	"log":         "a Machine logs by Note and Transition",
	"log/slog":    "a Machine logs by Note and Transition",
	"math/rand":   "random numbers come from the injected math/rand/v2 generator",
	"net":         "a Machine knows no socket",
	"net/http":    "a Machine knows no socket",
	"os":          "a Machine knows no operating system",
	"os/exec":     "a Machine knows no operating system",
	"os/signal":   "a Machine knows no operating system",
	"reflect":     "reflection ranges over maps unseen",
	"runtime":     "a Machine has no goroutine",
	"sync":        "a Machine has no lock",
	"sync/atomic": "a Machine has no lock",
	"syscall":     "a Machine knows no operating system",
	"unsafe":      "a Machine needs no unsafe",
}

// bannedFuncs are functions of allowed packages that a Machine must not call, by package and name. An empty list bans
// every function of the package but the exceptions in allowedFuncs.
var bannedFuncs = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"fmt":          {"Print", "Printf", "Println"},
	"maps":         {"All", "Keys", "Values"},
	"math/rand/v2": nil,
}

var allowedFuncs = map[string][]string{"math/rand/v2": {"New", "NewPCG", "NewChaCha8", "NewZipf"}}

// sortedFunc is where a map may be ranged over: the function that all others use instead.
const sortedFunc = "SortedFunc"

// Check returns what breaks a ban in the packages named roots and in every package of the module that they import, each
// as "file:line:column: what". pkgs holds all packages of the module by path.
func Check(pkgs map[string]*packages.Package, roots []string) []string {
	var found []string
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if _, ours := local(path); !ours || seen[path] {
			return
		}
		seen[path] = true
		p := pkgs[path]
		if p == nil {
			found = append(found, path+": was not loaded")
			return
		}
		for _, f := range p.Syntax {
			c := checker{pkg: p, found: &found}
			c.file(f)
		}
		for dep := range p.Imports {
			visit(dep)
		}
	}
	for _, path := range roots {
		visit(path)
	}
	slices.Sort(found)
	return found
}

type checker struct {
	pkg   *packages.Package
	found *[]string
}

func (c *checker) report(at token.Pos, format string, args ...any) {
	*c.found = append(*c.found, fmt.Sprintf("%v: %s", c.pkg.Fset.Position(at), fmt.Sprintf(format, args...)))
}

func (c *checker) file(f *ast.File) {
	for _, imp := range f.Imports {
		path := strings.Trim(imp.Path.Value, `"`)
		if why, banned := bannedImports[path]; banned {
			c.report(imp.Pos(), "import of %s: %s", path, why)
			continue
		}
		if _, ours := local(path); ours || !strings.Contains(strings.Split(path, "/")[0], ".") {
			continue
		}
		if !slices.Contains(machineImports, path) {
			c.report(imp.Pos(), "import of %s: not among the libraries that a Machine may use", path)
		}
	}
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Name.Name == sortedFunc && c.pkg.PkgPath == module+"/internal/engine" {
			continue
		}
		ast.Inspect(decl, c.node)
	}
}

func (c *checker) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n.Pos(), "a Machine has no goroutine")
	case *ast.ChanType:
		c.report(n.Pos(), "a Machine has no channel")
	case *ast.SendStmt:
		c.report(n.Pos(), "a Machine has no channel")
	case *ast.SelectStmt:
		c.report(n.Pos(), "a Machine has no channel")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n.Pos(), "a Machine has no channel")
		}
	case *ast.RangeStmt:
		c.rangeOver(n)
	case *ast.SelectorExpr:
		c.use(n)
	}
	return true
}

func (c *checker) rangeOver(n *ast.RangeStmt) {
	t := c.pkg.TypesInfo.TypeOf(n.X)
	if t == nil {
		c.report(n.Pos(), "range over something of unknown type")
		return
	}
	_, isMap := t.Underlying().(*types.Map)
	if p, ok := t.(*types.TypeParam); ok { // func f[M ~map[K]V](m M)
		isMap = strings.Contains(p.Constraint().Underlying().String(), "map[")
	}
	if isMap {
		c.report(n.Pos(), "range over a map: use engine.Sorted, its order differs from run to run")
	}
}

// use reports a banned function of a package.
func (c *checker) use(n *ast.SelectorExpr) {
	obj := c.pkg.TypesInfo.Uses[n.Sel]
	fn, ok := obj.(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Signature().Recv() != nil {
		return
	}
	path, name := fn.Pkg().Path(), fn.Name()
	names, listed := bannedFuncs[path]
	if !listed {
		return
	}
	if names == nil && !slices.Contains(allowedFuncs[path], name) || slices.Contains(names, name) {
		c.report(n.Pos(), "%s.%s: not in a Machine", path, name)
	}
}

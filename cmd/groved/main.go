// Command groved is the router: it reads one configuration file and runs all protocols that it names, in the
// foreground.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

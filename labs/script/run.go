package script

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Result is the outcome of a run. In the simulator it is the same each time, to the byte: it holds no time of day.
type Result struct {
	Schema    string       `json:"schema"`
	Lab       string       `json:"lab"`
	Engine    string       `json:"engine"`
	TimeScale float64      `json:"time_scale"` // protocol timers were divided by this
	Steps     []StepResult `json:"steps"`
	Warnings  []string     `json:"warnings,omitempty"`
}

// StepResult is the outcome of a step.
type StepResult struct {
	Name        string        `json:"name"`
	Start       time.Duration `json:"start_ns"` // since the nodes were started
	Took        time.Duration `json:"took_ns"`  // until its checks were true
	Findings    []Finding     `json:"findings"`
	Transitions []Transition  `json:"transitions"`
}

// Schema names the version of Result.
const Schema = "grove/lab/v1"

// Status is the exit status of a run: 0 all checks true, 1 a check failed, 2 nothing to test, 3 true with warnings.
func (r *Result) Status() int {
	checks := 0
	for _, s := range r.Steps {
		for _, f := range s.Findings {
			checks++
			if !f.True {
				return 1
			}
		}
	}
	switch {
	case checks == 0:
		return 2
	case len(r.Warnings) > 0:
		return 3
	}
	return 0
}

// Watcher is told what happens while it happens.
type Watcher interface {
	Step(number, of int, step *Step)
	Transition(t Transition)
	Tree(flow Flow, lines []string)
	StepDone(r *StepResult)
}

// Run runs a script on an engine whose nodes have been started. A step that fails does not end the run: the person
// wants to see all that is wrong. An error is the engine's, not the lab's.
func Run(ctx context.Context, name string, t *Topology, s *Script, e Engine, w Watcher) (*Result, error) {
	result := &Result{Schema: Schema, Lab: name, Engine: e.Name()}
	shown, listed := 0, bgpFile
	if s.countsLinks() {
		if err := e.CountCrossings(); err != nil {
			return result, err
		}
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		w.Step(i+1, len(s.Steps), step)
		for _, a := range step.Do {
			listed = cmp.Or(a.BGPRoutes, listed)
		}
		r, err := runStep(ctx, t, s, listed, step, e, func() {
			// What several routers did since the last look came in any order: sort it by time.
			fresh := slices.Clone(e.Transitions()[shown:])
			shown += len(fresh)
			slices.SortStableFunc(fresh, func(a, b Transition) int { return cmp.Compare(a.At, b.At) })
			for _, t := range fresh {
				w.Transition(t)
			}
		})
		if err != nil {
			return result, err
		}
		result.Steps = append(result.Steps, *r)
		eval := &evaluator{ctx: ctx, engine: e, topo: t}
		for _, flow := range step.Show {
			edges, err := eval.edges(flow)
			if err != nil {
				return result, err
			}
			w.Tree(flow, drawTree(edges))
		}
		w.StepDone(r)
	}
	result.Warnings = slices.DeleteFunc(slices.Clone(e.Warnings()), s.wants)
	return result, nil
}

// wants says whether a check of the script is about that warning.
func (s *Script) wants(warning string) bool {
	for i := range s.Steps {
		for _, list := range [][]Check{s.Steps[i].Until, s.Steps[i].Check} {
			if slices.ContainsFunc(list, func(c Check) bool { return c.Warning != nil && c.Warning.matches(warning) }) {
				return true
			}
		}
	}
	return false
}

func runStep(ctx context.Context, t *Topology, s *Script, listed string, step *Step, e Engine, report func()) (*StepResult, error) {
	r := &StepResult{Name: step.Name, Start: e.Now()}
	eval := &evaluator{ctx: ctx, engine: e, topo: t, script: s, listed: listed, since: mark{
		at:          e.Now(),
		transitions: len(e.Transitions()),
		received:    map[hostGroup]Received{},
	}}
	checks := append(append([]Check(nil), step.Until...), step.Check...)
	for _, c := range checks {
		if c.Received != nil {
			at := hostGroup{c.Received.Host, c.Received.Group}
			eval.since.received[at] = e.Received(at.host, at.group)
		}
	}
	for _, a := range step.Do {
		for _, one := range a.each() {
			if err := e.Do(ctx, one); err != nil {
				return nil, err
			}
		}
	}
	var fault error
	_, err := e.Wait(ctx, step.Within, func() bool {
		report()
		_, ok, err := eval.all(step.Until, true)
		if err != nil {
			fault = err
			return true
		}
		return ok
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		return nil, err
	}
	r.Took = e.Now() - r.Start
	if r.Findings, _, err = eval.all(checks, false); err != nil {
		return nil, err
	}
	report()
	r.Transitions = e.Transitions()[eval.since.transitions:]
	return r, nil
}

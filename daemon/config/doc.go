// Package config turns a configuration file into a validated configuration: YAML -> Config -> the Config of each
// machine.
//
// A file is read in one walk over its syntax tree. Every key stands in a table (keys.go) with its meaning, its range
// and its default; what the table does not hold is a fault with a suggestion. Faults do not stop the walk: all of them
// are reported at once, each with file, line and column, what was expected and how to mend it. A faulty file is refused
// whole.
//
// # Files
//
//   - config.go: Config, what a valid file says, all defaults filled in; Load and Parse
//   - keys.go, keys_iface.go, keys_pimiface.go, keys_pim.go, keys_dense.go, keys_tunnel.go: the tables of keys, from which
//     reading, printing and docs/configuration.md are made
//   - read.go: the walk, and how each kind of value is read
//   - fault.go: Fault and Error
//   - check.go: rules that hold between values
//   - machines.go: the configuration of each machine, with the time scale applied
//   - print.go: a Config as a file with everything written out, which reads back as the same Config
//   - reference.go: the reference for people, made from the tables
//
// # Known gaps
//
//   - YAML anchors, aliases, tags and merge keys are refused: write the value out.
//   - A file that is not YAML is reported at its first syntax error only.
package config

// Package archtest holds the architecture to its word. Its test reads the syntax trees and the imports of the whole
// module and fails where
//
//   - a package imports one that is not on a floor below its own, or one protocol another (floors.go);
//   - a protocol package, or any package of ours that it imports, directly or not, uses what a Machine must not have
//     (bans.go): goroutines, locks, channels, sockets, clocks, loggers, unseeded random numbers, and ranging over maps,
//     whose order differs from run to run.
//
// For every ban there is a fixture in testdata that breaks it.
package archtest

// Package multicall runs one of several programs that are linked into one file, as busybox does.
package multicall

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Parts maps a program's name to its main function, which returns the exit code.
type Parts map[string]func() int

// Run looks for the part in argv[0], then in argv[1], and never returns.
// A part found in argv[1] sees itself as argv[0], as if it were a file of its own.
func Run(parts Parts) {
	if part, known := parts[filepath.Base(os.Args[0])]; known {
		os.Exit(part())
	}
	if len(os.Args) > 1 {
		if part, known := parts[os.Args[1]]; known {
			os.Args = os.Args[1:]
			os.Exit(part())
		}
	}
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(os.Stderr, "usage: %s PART [FLAG...]\nparts: %s\n", os.Args[0], strings.Join(names, " "))
	os.Exit(2)
}

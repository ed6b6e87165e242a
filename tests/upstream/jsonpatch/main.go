// Applies patches to documents as upstream's API server does. A line of the input is a document, a tab, and a patch;
// a line of the output is the patched document, or `refused`, `crashed` and why.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

func main() {
	jsonpatch.AccumulatedCopySizeLimit = 3 << 20
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for input.Scan() {
		document, patch, _ := strings.Cut(input.Text(), "\t")
		fmt.Fprintln(output, judge([]byte(document), []byte(patch)))
	}
}

func judge(document, patch []byte) (verdict string) {
	defer func() {
		if reason := recover(); reason != nil {
			verdict = fmt.Sprintf("crashed %v", reason)
		}
	}()
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return fmt.Sprintf("malformed %v", err)
	}
	patched, err := decoded.Apply(document)
	if err != nil {
		return fmt.Sprintf("refused %v", err)
	}
	return string(patched)
}

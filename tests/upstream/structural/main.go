// Upstream's custom resources beside our own. A line of the input is what is asked and a JSON string; a line of the output is
// the answer. `object`: a schema, an object and perhaps the old one are read, pruned, filled with defaults and validated.
// `definition`: a CustomResourceDefinition is validated; `change`: a change of one; `publish`: what is published of one.
// `rules`: an object, or a change of one, is validated as the API server does it, rules in CEL included.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What is asked for, by the first word of a line.
var asked = map[string]func(text string) any{"object": object, "definition": definition, "change": change, "publish": publish, "rules": rules}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for input.Scan() {
		what, quoted, _ := strings.Cut(input.Text(), " ")
		var text string
		if err := json.Unmarshal([]byte(quoted), &text); err != nil {
			panic(err)
		}
		fmt.Fprintln(output, answered(asked[what], text))
	}
}

// The answer as JSON. Upstream falls over definitions with selectable fields whose schema it cannot read, and over sets of
// lists and objects.
func answered(asked func(string) any, text string) (out string) {
	defer func() {
		if _, ok := recover().(runtime.Error); ok {
			out = "skipped"
		}
	}()
	answer, err := json.Marshal(asked(text))
	if err != nil {
		panic(err)
	}
	if strings.Contains(string(answer), "hash of unhashable type") {
		return "skipped"
	}
	return string(answer)
}

// What is wrong, in the order of the alphabet: upstream's own is that of Go's maps.
func sorted(all field.ErrorList) []string {
	said := []string{}
	for _, err := range all {
		said = append(said, err.Error())
	}
	return texts(said)
}

// The type of `self` has another name each time.
var selfType = regexp.MustCompile(`selfType\d+`)

// Of rules that cost the same, upstream names any.
var dearest = regexp.MustCompile(`^.*(: Forbidden: contributed to estimated rule cost total)`)

func texts(said []string) []string {
	out := []string{}
	for _, text := range said {
		out = append(out, dearest.ReplaceAllString(selfType.ReplaceAllString(text, "selfType"), "one$1"))
	}
	sort.Strings(out)
	return out
}

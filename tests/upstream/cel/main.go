// Upstream's CEL beside our own. `conformance` prints the language's conformance files as JSON; `judge` reads expressions,
// one a line as JSON strings, and answers each with a line of JSON: what cel-go says of it in Kubernetes' environment;
// `bench` says how long cel-go takes for as many rules as it is told.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "cel.dev/expr/conformance/proto2"
	_ "cel.dev/expr/conformance/proto3"
	conformance "cel.dev/expr/conformance/test"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
)

func main() {
	switch os.Args[1] {
	case "conformance":
		files(os.Args[2])
	case "judge":
		input := bufio.NewScanner(os.Stdin)
		input.Buffer(nil, 64<<20)
		output := bufio.NewWriter(os.Stdout)
		defer output.Flush()
		judge := newJudge()
		for input.Scan() {
			var text string
			must(json.Unmarshal(input.Bytes(), &text))
			answer, err := json.Marshal(judge.say(text))
			must(err)
			fmt.Fprintln(output, string(answer))
		}
	case "bench":
		count, err := strconv.Atoi(os.Args[2])
		must(err)
		bench(newJudge(), count)
	}
}

// All conformance files of a folder, one a line: its name and its tests.
func files(folder string) {
	names, err := filepath.Glob(filepath.Join(folder, "*.textproto"))
	must(err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(err)
		file := &conformance.SimpleTestFile{}
		must(prototext.Unmarshal(text, file))
		out, err := protojson.Marshal(file)
		must(err)
		fmt.Printf("%s %s\n", strings.TrimSuffix(filepath.Base(name), ".textproto"), out)
	}
}

func bench(judge *judge, count int) {
	rules := []string{
		"self.replicas >= 0 && self.replicas <= 100",
		"self.items.all(x, x.count > 0 && x.key != '')",
		"!has(self.missing) || self.missing == 'a'",
		"self.name.startsWith('web') || self.name.size() < 64",
		"self.labels.all(k, k.size() < 64)",
	}
	programs := []func() {}
	for at := 0; at < count; at++ {
		program, err := judge.program(fmt.Sprintf("%s && %d != -1", rules[at%len(rules)], at))
		must(err)
		programs = append(programs, func() {
			_, _, err := program.Eval(judge.values)
			must(err)
		})
	}
	least := time.Hour
	for round := 0; round < 20; round++ {
		start := time.Now()
		for _, run := range programs {
			run()
		}
		least = min(least, time.Since(start))
	}
	fmt.Println(least.Microseconds())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

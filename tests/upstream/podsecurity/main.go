// Says what upstream's levels have against pods. A line of the input is `podsecurity` and a JSON string, which is a level, a
// version and a pod as JSON, separated by spaces; a line of the output is what is wrong with the pod, or nothing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(err)
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for input.Scan() {
		_, quoted, _ := strings.Cut(input.Text(), " ")
		var text string
		if err := json.Unmarshal([]byte(quoted), &text); err != nil {
			panic(err)
		}
		parts := strings.SplitN(text, " ", 3)
		level, err := api.ParseLevel(parts[0])
		if err != nil {
			panic(err)
		}
		version, err := api.ParseVersion(parts[1])
		if err != nil {
			panic(err)
		}
		var pod corev1.Pod
		if err := json.Unmarshal([]byte(parts[2]), &pod); err != nil {
			panic(err)
		}
		standard := api.LevelVersion{Level: level, Version: version}
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(standard, &pod.ObjectMeta, &pod.Spec))
		fmt.Fprintln(output, strings.ReplaceAll(result.ForbiddenDetail(), "\n", "\\n"))
	}
}

// Reads texts as upstream does, beside our own readers. A line of the input is what is to be read and the text as a JSON
// string; a line of the output is what comes out, or `refused` and why.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/munnerz/goautoneg"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/version"
	sjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

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
		fmt.Fprintln(output, strings.ReplaceAll(read(what, text), "\n", "\\n"))
	}
}

func read(what, text string) (out string) {
	defer func() {
		if reason := recover(); reason != nil {
			out = fmt.Sprintf("crashed %v", reason)
		}
	}()
	value, err := readers[what](text)
	if err != nil {
		return fmt.Sprintf("refused %v", err)
	}
	return value
}

// Fields of every sort of scalar, in the order of their names.
type scalars struct {
	Bool   bool    `json:"bool,omitempty"`
	Bytes  []byte  `json:"bytes,omitempty"`
	Float  float64 `json:"float,omitempty"`
	Int32  int32   `json:"int32,omitempty"`
	Int64  int64   `json:"int64,omitempty"`
	String string  `json:"string,omitempty"`
}

// A struct with every place in which something can be said twice.
type nested struct {
	Text      string               `json:"text,omitempty"`
	Number    *int32               `json:"number,omitempty"`
	Struct    inner                `json:"struct,omitempty"`
	Pointer   *inner               `json:"pointer,omitempty"`
	List      []inner              `json:"list,omitempty"`
	Texts     []string             `json:"texts,omitempty"`
	Labels    map[string]string    `json:"labels,omitempty"`
	Map       map[string]inner     `json:"map,omitempty"`
	Lists     map[string][]string  `json:"lists,omitempty"`
	Any       interface{}          `json:"any,omitempty"`
	Port      intstr.IntOrString   `json:"port,omitempty"`
	PortAgain *intstr.IntOrString  `json:"portAgain,omitempty"`
	Quantity  resource.Quantity    `json:"quantity,omitempty"`
	Share     *resource.Quantity   `json:"share,omitempty"`
	Bytes     []byte               `json:"bytes,omitempty"`
	Raw       runtime.RawExtension `json:"raw,omitempty"`
}

type inner struct {
	Text   string            `json:"text,omitempty"`
	Flag   *bool             `json:"flag,omitempty"`
	Deep   *inner            `json:"deep,omitempty"`
	List   []inner           `json:"list,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

var readers = map[string]func(string) (string, error){
	"yaml": func(text string) (string, error) {
		out, err := yaml.YAMLToJSON([]byte(text))
		return string(out), err
	},
	"selector": func(text string) (string, error) {
		out, err := labels.Parse(text)
		if err != nil {
			return "", err
		}
		requirements, selectable := out.Requirements()
		list := []string{}
		for _, requirement := range requirements {
			operator := string(requirement.Operator())
			if operator == "=" || operator == "==" {
				operator = "in"
			}
			if operator == "!=" {
				operator = "notin"
			}
			list = append(list, fmt.Sprintf("%q %s %q", requirement.Key(), operator, requirement.Values().List()))
		}
		sort.Strings(list)
		return fmt.Sprint(selectable, list), nil
	},
	"fields": func(text string) (string, error) {
		out, err := fields.ParseSelector(text)
		if err != nil {
			return "", err
		}
		list := []string{}
		for _, requirement := range out.Requirements() {
			operator := strings.Replace(string(requirement.Operator), "==", "=", 1)
			list = append(list, fmt.Sprintf("%q %s %q", requirement.Field, operator, requirement.Value))
		}
		return fmt.Sprint(list), nil
	},
	"quantity": func(text string) (string, error) {
		out, err := resource.ParseQuantity(text)
		if err != nil {
			return "", err
		}
		if out.Sign() < 0 || out.CmpInt64(9e15) > 0 {
			// It loses the sign of some that are nearly nothing, and goes round with large ones.
			return out.String(), nil
		}
		return fmt.Sprintf("%s %d %d", out.String(), out.Value(), out.MilliValue()), nil
	},
	"glob": func(text string) (string, error) {
		// What is no pattern fits nothing.
		pattern, name, _ := strings.Cut(text, "\n")
		fits, err := path.Match(pattern, name)
		return fmt.Sprint(fits && err == nil), nil
	},
	"reference": func(text string) (string, error) {
		out, err := reference.ParseNormalizedNamed(text)
		if err != nil {
			return "", err
		}
		return reference.TagNameOnly(out).String(), nil
	},
	"semver": func(text string) (string, error) {
		out, err := version.ParseSemantic(text)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d.%d.%d", out.Major(), out.Minor(), out.Patch()), nil
	},
	"duration": func(text string) (string, error) {
		out, err := time.ParseDuration(text)
		return fmt.Sprint(int64(out)), err
	},
	"query": func(text string) (string, error) {
		// What is broken is left out, the rest counts.
		out, _ := url.ParseQuery(text)
		names := []string{}
		for name, values := range out {
			for at, value := range values {
				names = append(names, fmt.Sprintf("%q %03d %q", name, at, value))
			}
		}
		sort.Strings(names)
		return strings.Join(names, ","), nil
	},
	"accept": func(text string) (string, error) {
		out := []string{}
		for _, clause := range goautoneg.ParseAccept(text) {
			parameters := []string{}
			for name, value := range clause.Params {
				parameters = append(parameters, name+"="+value)
			}
			sort.Strings(parameters)
			out = append(out, fmt.Sprintf("%s/%s %s", clause.Type, clause.SubType, strings.Join(parameters, ";")))
		}
		return strings.Join(out, ", "), nil
	},
	"media": func(text string) (string, error) {
		media, _, err := mime.ParseMediaType(text)
		return media, err
	},
	"scalars": func(text string) (string, error) {
		var out scalars
		if err := sjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &out); err != nil {
			return "", err
		}
		printed, err := json.Marshal(out)
		return string(printed), err
	},
	"twice": func(text string) (string, error) {
		var out nested
		strict, err := sjson.UnmarshalStrict([]byte(text), &out)
		if err != nil {
			return "", err
		}
		printed, err := json.Marshal(out)
		return fmt.Sprintf("%s %v", printed, strict), err
	},
	"yamltwice": func(text string) (string, error) {
		out, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			return "", err
		}
		if _, err := yaml.YAMLToJSONStrict([]byte(text)); err != nil {
			return fmt.Sprintf("%s %v", out, err), nil
		}
		return string(out) + " ", nil
	},
	"treetwice": func(text string) (string, error) {
		var out interface{}
		strict, err := sjson.UnmarshalStrict([]byte(text), &out)
		if err != nil {
			return "", err
		}
		printed, err := json.Marshal(out)
		return fmt.Sprintf("%s %v", printed, strict), err
	},
	"tree": func(text string) (string, error) {
		var out interface{}
		if err := kjson.Unmarshal([]byte(text), &out); err != nil {
			return "", err
		}
		printed, err := json.Marshal(out)
		return string(printed), err
	},
}

package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apimachinery/pkg/util/version"
	apicel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// What upstream says of an expression.
type answer struct {
	Compile string `json:"compile,omitempty"`
	Type    string `json:"type,omitempty"`
	Min     uint64 `json:"min"`
	Max     uint64 `json:"max"`
	Program string `json:"program,omitempty"`
	Value   string `json:"value,omitempty"`
	Error   string `json:"error,omitempty"`
	Cost    uint64 `json:"cost"`
}

type judge struct {
	env    *cel.Env
	values map[string]any
}

// The schema and the value of `self`; the other side has the same.
const schemaText = `{"type":"object","properties":{
"replicas":{"type":"integer","format":"int64"},"name":{"type":"string","maxLength":20},"missing":{"type":"string"},
"ratio":{"type":"number"},"on":{"type":"boolean"},
"labels":{"type":"object","maxProperties":5,"additionalProperties":{"type":"string","maxLength":63}},
"tags":{"type":"array","maxItems":8,"items":{"type":"string"}},
"numbers":{"type":"array","items":{"type":"integer","format":"int64"}},
"items":{"type":"array","maxItems":10,"items":{"type":"object","properties":{
"key":{"type":"string"},"count":{"type":"integer","format":"int64"},"more":{"type":"string"}}}}}}`

const selfText = `{"replicas":3,"name":"web-1","ratio":0.5,"on":true,"labels":{"app":"web","tier":"front"},
"tags":["a","bb","a"],"numbers":[3,1,2],"items":[{"key":"k1","count":1},{"key":"k2","count":2,"more":"x"}]}`

const anyText = `{"a":1,"b":"text","c":[1,"two",3.5],"d":{"e":null},"f":true}`

// The sizes that the estimator is told, by path.
var sizes = map[string]uint64{
	"s": 30, "ls": 12, "ls.@items": 9, "self.name": 20, "self.labels": 5, "self.labels.@values": 63, "self.tags": 8,
	"self.items": 10, "li": 50, "self.labels.@keys": 11,
}

type sizer struct{}

func (sizer) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if size, found := sizes[strings.Join(node.Path(), ".")]; found {
		return &checker.SizeEstimate{Min: 0, Max: size}
	}
	return nil
}

func (sizer) EstimateCallCost(function, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	return nil
}

func newJudge() *judge {
	schema := &spec.Schema{}
	must(json.Unmarshal([]byte(schemaText), schema))
	of := openapi.SchemaDeclType(schema, false).MaybeAssignTypeName("test.Self")
	set, err := environment.MustBaseEnvSet(version.MajorMinor(1, 36)).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions: []cel.EnvOption{
			cel.Variable("self", of.CelType()),
			cel.Variable("i", cel.IntType), cel.Variable("u", cel.UintType), cel.Variable("d", cel.DoubleType),
			cel.Variable("b", cel.BoolType), cel.Variable("s", cel.StringType), cel.Variable("y", cel.BytesType),
			cel.Variable("li", cel.ListType(cel.IntType)), cel.Variable("ls", cel.ListType(cel.StringType)),
			cel.Variable("m", cel.MapType(cel.StringType, cel.IntType)), cel.Variable("x", cel.DynType),
			cel.Variable("t", cel.TimestampType), cel.Variable("r", cel.DurationType),
		},
		DeclTypes: []*apicel.DeclType{of},
	})
	must(err)
	env, err := set.Env(environment.StoredExpressions)
	must(err)
	var self, anything any
	must(json.Unmarshal([]byte(selfText), &self))
	must(json.Unmarshal([]byte(anyText), &anything))
	whole(self)
	whole(anything)
	moment := types.String("2024-02-29T12:34:56.789Z").ConvertToType(types.TimestampType)
	return &judge{env: env, values: map[string]any{
		"self": common.UnstructuredToVal(whole(self), &openapi.Schema{Schema: schema}),
		"i":    int64(5), "u": uint64(7), "d": 2.5, "b": true, "s": "hello wörld", "y": []byte("abc"),
		"li": []int64{3, 1, 2}, "ls": []string{"b", "a", "ccc"}, "m": map[string]int64{"a": 1, "b": 2}, "x": whole(anything),
		"t": moment, "r": types.String("1h30m1.5s").ConvertToType(types.DurationType),
	}}
}

// Whole numbers of JSON as such.
func whole(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			value[key] = whole(inner)
		}
	case []any:
		for at, inner := range value {
			value[at] = whole(inner)
		}
	case float64:
		if value == math.Trunc(value) {
			return int64(value)
		}
	}
	return value
}

func (j *judge) program(text string) (cel.Program, error) {
	ast, issues := j.env.Compile(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	return j.env.Program(ast)
}

func (j *judge) say(text string) (out answer) {
	ast, issues := j.env.Compile(text)
	if issues.Err() != nil {
		return answer{Compile: issues.Err().Error()}
	}
	out.Type = cel.FormatCELType(ast.OutputType())
	estimate, err := j.env.EstimateCost(ast, &library.CostEstimator{SizeEstimator: sizer{}})
	must(err)
	out.Min, out.Max = estimate.Min, estimate.Max
	program, err := j.env.Program(ast)
	if err != nil {
		out.Program = err.Error()
		return out
	}
	value, details, err := program.Eval(j.values)
	if details != nil && details.ActualCost() != nil {
		out.Cost = *details.ActualCost()
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Value = show(value)
	return out
}

// A value as text that both sides write alike.
func show(value ref.Val) string {
	switch value := value.(type) {
	case types.Null:
		return "null"
	case types.Bool:
		return strconv.FormatBool(bool(value))
	case types.Int:
		return strconv.FormatInt(int64(value), 10)
	case types.Uint:
		return strconv.FormatUint(uint64(value), 10) + "u"
	case types.Double:
		return "d" + strconv.FormatUint(math.Float64bits(float64(value)), 16)
	case types.String:
		return "s" + hex.EncodeToString([]byte(value))
	case types.Bytes:
		return "b" + hex.EncodeToString(value)
	case types.Timestamp:
		return fmt.Sprintf("t%d.%d", value.Unix(), value.Nanosecond())
	case types.Duration:
		return fmt.Sprintf("r%d", int64(value.Duration))
	case *types.Optional:
		if value.HasValue() {
			return "some(" + show(value.GetValue()) + ")"
		}
		return "none"
	case traits.Lister:
		parts := []string{}
		for it := value.Iterator(); it.HasNext() == types.True; {
			parts = append(parts, show(it.Next()))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case traits.Mapper:
		parts := []string{}
		for it := value.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			parts = append(parts, show(key)+":"+show(value.Get(key)))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, ",") + "}"
	case ref.Type:
		return "type " + value.TypeName()
	case apicel.Quantity:
		return "q" + value.Quantity.String()
	case *apicel.Quantity:
		return "q" + value.Quantity.String()
	}
	return value.Type().TypeName()
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/cel/common"
	kjson "sigs.k8s.io/json"
)

type question struct {
	Schema json.RawMessage
	Object string
	Old    string
}

type answer struct {
	Refused   string   `json:"refused,omitempty"`
	Strict    []string `json:"strict"`
	Read      string   `json:"read"`
	Defaulted string   `json:"defaulted"`
	Errors    []string `json:"errors"`
}

func object(text string) any {
	var asked question
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		panic(err)
	}
	internal := properties(asked.Schema)
	structural, err := schema.NewStructural(internal)
	if err != nil {
		return answer{Refused: err.Error()}
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		panic(err)
	}
	// As the API server does it before it serves a kind; it does not serve one of which this fails.
	_ = defaulting.PruneDefaults(structural)
	tree, strict, err := read(asked.Object, structural)
	if err != nil {
		return answer{Refused: err.Error()}
	}
	out := answer{Strict: strict, Read: encoded(tree)}
	defaulting.Default(tree, structural)
	out.Defaulted = encoded(tree)
	if asked.Old == "" {
		errs := validation.ValidateCustomResource(nil, tree, validator)
		errs = append(errs, objectmeta.Validate(nil, tree, structural, false)...)
		errs = append(errs, listtype.ValidateListSetsAndMaps(nil, structural, tree)...)
		out.Errors = sorted(errs)
		return out
	}
	old, _, err := read(asked.Old, structural)
	if err != nil {
		return answer{Refused: err.Error()}
	}
	defaulting.Default(old, structural)
	correlated := common.NewCorrelatedObject(tree, old, &model.Structural{Structural: structural})
	errs := validation.ValidateCustomResourceUpdate(nil, tree, old, validator, validation.WithRatcheting(correlated))
	errs = append(errs, objectmeta.Validate(nil, tree, structural, false)...)
	if len(listtype.ValidateListSetsAndMaps(nil, structural, old)) == 0 {
		errs = append(errs, listtype.ValidateListSetsAndMaps(nil, structural, tree)...)
	}
	out.Errors = sorted(errs)
	return out
}

// As the API server's decoder of custom resources does it, which is not exported.
func read(text string, structural *schema.Structural) (map[string]any, []string, error) {
	tree := map[string]any{}
	strict := []string{}
	odd, err := kjson.UnmarshalStrict([]byte(text), &tree)
	if err != nil {
		return nil, nil, err
	}
	for _, err := range odd {
		strict = append(strict, err.Error())
	}
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(tree, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, nil, err
	}
	paths := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	unknown = append(unknown, pruning.PruneWithOptions(tree, structural, true, paths)...)
	defaulting.PruneNonNullableNullsWithoutDefaults(tree, structural)
	wrong, more := objectmeta.CoerceWithOptions(nil, tree, structural, false, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	if wrong != nil {
		return nil, nil, wrong
	}
	for _, path := range append(unknown, more...) {
		strict = append(strict, fmt.Sprintf("unknown field \"%s\"", path))
	}
	if found {
		if err := objectmeta.SetObjectMeta(tree, meta); err != nil {
			return nil, nil, err
		}
	}
	return tree, strict, nil
}

func encoded(tree map[string]any) string {
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(tree); err != nil {
		panic(err)
	}
	return string(bytes.TrimSpace(out.Bytes()))
}

package main

import (
	"context"
	"encoding/json"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/warning"
)

type warnings []string

func (w *warnings) AddWarning(agent, text string) {
	*w = append(*w, text)
}

// What is wrong with an object, or with a change of one or of its status.
func rules(text string) any {
	var asked struct {
		Schema      json.RawMessage
		Object, Old string
		Status      bool
	}
	if err := json.Unmarshal([]byte(text), &asked); err != nil {
		panic(err)
	}
	internal := properties(asked.Schema)
	structural, err := schema.NewStructural(internal)
	if err != nil {
		return map[string]any{"refused": err.Error()}
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		panic(err)
	}
	_ = defaulting.PruneDefaults(structural)
	var ofStatus validation.SchemaValidator
	if status, ok := internal.Properties["status"]; ok {
		if ofStatus, _, err = validation.NewSchemaValidator(&status); err != nil {
			panic(err)
		}
	}
	kind := apischema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}
	status := &apiextensions.CustomResourceSubresourceStatus{}
	strategy := customresource.NewStrategy(nil, true, kind, validator, ofStatus, structural, status, nil, nil)
	tree := func(text string) *unstructured.Unstructured {
		tree, _, err := read(text, structural)
		if err != nil {
			panic(err)
		}
		defaulting.Default(tree, structural)
		return &unstructured.Unstructured{Object: tree}
	}
	said := &warnings{}
	ctx := warning.WithWarningRecorder(context.Background(), said)
	var errs field.ErrorList
	switch made := tree(asked.Object); {
	case asked.Old == "":
		errs = strategy.Validate(ctx, made)
	case asked.Status:
		errs = customresource.NewStatusStrategy(strategy).ValidateUpdate(ctx, made, tree(asked.Old))
	default:
		errs = strategy.ValidateUpdate(ctx, made, tree(asked.Old))
	}
	return map[string]any{"errors": sorted(errs), "warnings": texts(*said)}
}

func properties(text json.RawMessage) *apiextensions.JSONSchemaProps {
	var external v1.JSONSchemaProps
	if err := json.Unmarshal(text, &external); err != nil {
		panic(err)
	}
	var internal apiextensions.JSONSchemaProps
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&external, &internal, nil); err != nil {
		panic(err)
	}
	return &internal
}

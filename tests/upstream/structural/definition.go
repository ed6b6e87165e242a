package main

import (
	"context"
	"encoding/json"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	"k8s.io/apimachinery/pkg/runtime"
)

func parsed(text json.RawMessage) *apiextensions.CustomResourceDefinition {
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		panic(err)
	}
	var external v1.CustomResourceDefinition
	if err := json.Unmarshal(text, &external); err != nil {
		panic(err)
	}
	scheme.Default(&external)
	var internal apiextensions.CustomResourceDefinition
	if err := v1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&external, &internal, nil); err != nil {
		panic(err)
	}
	return &internal
}

func definition(text string) any {
	made := parsed(json.RawMessage(text))
	strategy := customresourcedefinition.NewStrategy(nil)
	strategy.PrepareForCreate(context.Background(), made)
	return map[string]any{
		"errors":   sorted(strategy.Validate(context.Background(), made)),
		"warnings": texts(strategy.WarningsOnCreate(context.Background(), made)),
	}
}

func change(text string) any {
	var both struct{ Old, New json.RawMessage }
	if err := json.Unmarshal([]byte(text), &both); err != nil {
		panic(err)
	}
	old, made := parsed(both.Old), parsed(both.New)
	strategy := customresourcedefinition.NewStrategy(nil)
	strategy.PrepareForUpdate(context.Background(), made, old)
	return map[string]any{
		"errors":   sorted(validation.ValidateCustomResourceDefinitionUpdate(context.Background(), made, old)),
		"warnings": texts(strategy.WarningsOnUpdate(context.Background(), made, old)),
	}
}

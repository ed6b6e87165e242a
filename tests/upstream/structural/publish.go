package main

import (
	"bytes"
	"encoding/json"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/kube-openapi/pkg/handler"
)

// What is published of the kind of a definition, and of its lists.
func publish(text string) any {
	var made v1.CustomResourceDefinition
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		panic(err)
	}
	v1.SetDefaults_CustomResourceDefinition(&made)
	three, err := builder.BuildOpenAPIV3(&made, "v1", builder.Options{IncludeSelectableFields: true})
	if err != nil {
		panic(err)
	}
	two, err := builder.BuildOpenAPIV2(&made, "v1", builder.Options{V2: true, IncludeSelectableFields: true})
	if err != nil {
		panic(err)
	}
	two.Definitions = handler.PruneDefaults(two.Definitions)
	out := map[string]any{}
	names := made.Spec.Names
	for part, kind := range map[string]string{"kind": names.Kind, "list": names.ListKind} {
		name := "com.example.v1." + kind
		out["v3 "+part] = normal(three.Components.Schemas[name])
		out["v2 "+part] = normal(two.Definitions[name])
	}
	return out
}

// With keys in the order of the alphabet.
func normal(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var out any
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.UseNumber()
	if err := reader.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

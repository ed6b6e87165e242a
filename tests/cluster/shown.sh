# Sourced by run.sh: what kubectl shows of types and scales.

says "explain says what a type is" 'PodSpec is a description of a pod' k explain pod.spec
says "explain says what a field is" "If specified, the pod's scheduling constraints" k explain pod.spec.affinity
says "explain of an older client" 'EnableServiceLinks indicates whether information about services' k explain pod.spec.enableServiceLinks --output=plaintext-openapiv2
says "explain all that lies below" 'matchExpressions' k explain deployment.spec.selector --recursive
does "something to scale" k create deployment scaled --image=none.invalid/none:1 --replicas=0
says "a scale has columns of its own" '^NAME +DESIRED +AVAILABLE' k get deployment scaled --subresource=scale
says "and cells" '^scaled +0 +0 ' k get deployment scaled --subresource=scale
does "it goes" k delete deployment scaled
says "the version has lines" '^  "gitVersion": "v1\.36\.3",$' k get --raw /version

# Sourced by run.sh: from client-side to server-side apply and back, with upstream's kubectl, which moves the fields
# of its own client side itself, once the server has let it apply.

last() { k get configmap settings -o jsonpath='{.metadata.annotations.kubectl\.kubernetes\.io/last-applied-configuration}'; }
managers() { k get configmap settings --show-managed-fields -o jsonpath='{range .metadata.managedFields[*]}{.manager}/{.operation} {end}'; }

sed -i 's/blue/red/' "$manifest"
says "turned to server-side apply" 'configmap/settings serverside-applied' k apply --server-side -f "$manifest"
[ "$(k get configmap settings -o jsonpath='{.data.colour}')" = red ] || fail "server-side apply did not apply"
says "what was applied last is current" '"colour":"red"' last
says "the fields are kubectl's own" 'kubectl/Apply' managers
if managers | grep -q client-side; then managers >&2; fail "the client side still has fields"; fi
sed -i 's/colour/shade/' "$manifest"
says "what is left out goes" 'configmap/settings serverside-applied' k apply --server-side -f "$manifest"
[ "$(k get configmap settings -o jsonpath='{.data}')" = '{"shade":"red"}' ] || fail "a field that is no longer said stayed"
says "what was applied last follows" '"shade":"red"' last
sed -i 's/shade/tone/' "$manifest"
says "turned back" 'configmap/settings configured' k apply -f "$manifest"
[ "$(k get configmap settings -o jsonpath='{.data}')" = '{"tone":"red"}' ] || fail "client-side apply did not start from what was applied last"
does "a change by another" k patch configmap settings --type=merge -p '{"data":{"tone":"pink"}}' --field-manager=other
says "another's fields are a conflict" 'conflict with "other"' k apply --server-side -f "$manifest"

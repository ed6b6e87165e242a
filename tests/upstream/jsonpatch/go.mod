// Upstream's JSON patch as a judge of ours. A module of its own, so that its requirements do not move those of
// upstream's programs.
module ironclad/tests/upstream/jsonpatch

go 1.26.0

require gopkg.in/evanphx/json-patch.v4 v4.13.0

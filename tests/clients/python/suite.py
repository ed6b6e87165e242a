"""A live suite in Python: the official client. $KUBECONFIG names the cluster, $IMAGE an image with a shell in it."""

import io
import json
import logging
import os
import queue
import sys
import tarfile
import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.stream import portforward, stream

NAMESPACE = "client-python"
PATIENCE = 30

# The informer's thread says that it was stopped as if that were a fault.
logging.disable()
config.load_kube_config()
core = client.CoreV1Api()
coordination = client.CoordinationV1Api()


def config_map(name, colour="blue"):
    metadata = client.V1ObjectMeta(name=name, labels={"suite": "python"})
    return client.V1ConfigMap(metadata=metadata, data={"colour": colour})


def list_in_pages():
    for i in range(7):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{i}"))
    names, pages, more = set(), 0, None
    while pages == 0 or more:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="suite=python", limit=3, _continue=more)
        names |= {item.metadata.name for item in page.items}
        pages, more = pages + 1, page.metadata._continue
    assert (len(names), pages) == (7, 3), (names, pages)


def watch_goes_on():
    before = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, config_map("watched"))
    core.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"colour": "green"}})
    core.delete_namespaced_config_map("watched", NAMESPACE)
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map, NAMESPACE, resource_version=before, timeout_seconds=PATIENCE
    ):
        seen.append((event["type"], event["object"].data["colour"]))
        if event["type"] == "DELETED":
            watcher.stop()
    assert seen == [("ADDED", "blue"), ("MODIFIED", "green"), ("DELETED", "green")], seen


def a_watch_that_is_too_old_says_so():
    watcher = watch.Watch()
    try:
        for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, resource_version="1", timeout_seconds=2):
            assert event["type"] == "ADDED", event
            watcher.stop()
    except ApiException as refused:
        assert refused.status == 410, refused


def informer():
    seen = queue.Queue()
    # Its end waits for what its watch brings, and so for the end of a quiet one: that comes with a resync.
    informer = SharedInformer(core.list_namespaced_config_map, namespace=NAMESPACE, resync_period=2)
    informer.add_event_handler("ADDED", lambda object: seen.put(object.metadata.name))
    informer.start()
    core.create_namespaced_config_map(NAMESPACE, config_map("informed"))
    while seen.get(timeout=PATIENCE) != "informed":
        pass
    assert any(item.metadata.name == "informed" for item in informer.cache.list())
    informer.stop()


def server_side_apply():
    maps = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")

    def apply(colour, manager, **more):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"colour": colour}}
        return maps.server_side_apply(body=body, namespace=NAMESPACE, field_manager=manager, **more)

    apply("blue", "one")
    try:
        apply("red", "other")
        raise AssertionError("no conflict")
    except dynamic.exceptions.ConflictError as conflict:
        assert "one" in str(conflict.body), conflict
    assert apply("red", "other", force_conflicts=True).data.colour == "red"


class LeaseLock:
    """The lock that `leaderelection` asks for, in a Lease."""

    def __init__(self, name, identity):
        self.name, self.namespace, self.identity, self.lease = name, NAMESPACE, identity, None

    @staticmethod
    def spec(record):
        return {"holderIdentity": record.holder_identity, "leaseDurationSeconds": int(record.lease_duration)}

    def get(self, name, namespace):
        try:
            self.lease = coordination.read_namespaced_lease(name, namespace)
        except ApiException as error:
            return False, error
        note = (self.lease.metadata.annotations or {}).get("record")
        return True, LeaderElectionRecord(*json.loads(note)) if note else None

    def write(self, record):
        fields = (record.holder_identity, record.lease_duration, record.acquire_time, record.renew_time)
        return {"record": json.dumps(fields)}, self.spec(record)

    def create(self, name, namespace, election_record):
        annotations, spec = self.write(election_record)
        try:
            coordination.create_namespaced_lease(
                namespace, {"metadata": {"name": name, "annotations": annotations}, "spec": spec}
            )
        except ApiException:
            return False
        return True

    def update(self, name, namespace, updated_record):
        annotations, spec = self.write(updated_record)
        self.lease.metadata.annotations = annotations
        self.lease.spec.holder_identity = spec["holderIdentity"]
        try:
            self.lease = coordination.replace_namespaced_lease(name, namespace, self.lease)
        except ApiException:
            return False
        return True


def lease_election():
    turns = queue.Queue()

    def elect(identity):
        turn = electionconfig.Config(
            LeaseLock("leader", identity),
            lease_duration=6,
            renew_deadline=4,
            retry_period=2,
            onstarted_leading=lambda: turns.put(identity),
            onstopped_leading=lambda: None,
        )
        threading.Thread(target=leaderelection.LeaderElection(turn).run, daemon=True).start()

    elect("first")
    assert turns.get(timeout=PATIENCE) == "first"
    elect("second")
    lease = coordination.read_namespaced_lease("leader", NAMESPACE)
    assert lease.spec.holder_identity == "first", lease
    # Whoever writes with an old revision hears that somebody else was there.
    lease.metadata.resource_version = "1"
    try:
        coordination.replace_namespaced_lease("leader", NAMESPACE, lease)
        raise AssertionError("no conflict")
    except ApiException as refused:
        assert refused.status == 409, refused


def execute(command, **more):
    options = {"stderr": True, "stdin": False, "stdout": True, "tty": False, "_preload_content": False} | more
    return stream(client.CoreV1Api().connect_get_namespaced_pod_exec, "p", NAMESPACE, command=command, **options)


def exec_in_a_pod():
    session = execute(["sh", "-c", "read x; echo out $x; echo err >&2; exit 7"], stdin=True)
    session.write_stdin("in\n")
    session.run_forever(timeout=PATIENCE)
    assert session.read_stdout() == "out in\n", "standard output"
    assert session.read_stderr() == "err\n", "standard error"
    assert session.returncode == 7, session.returncode
    # The client says goodbye while the command runs, and is answered at once.
    session = execute(["sleep", "3600"])
    session.sock.send_close()
    session.sock.settimeout(PATIENCE)
    opcode = None
    while opcode != 8:
        opcode, _ = session.sock.recv_data(control_frame=True)


def copy():
    content = os.urandom(1 << 20)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    session = execute(["tar", "xf", "-", "-C", "/tmp"], stdin=True, binary=True)
    session.write_stdin(archive.getvalue())
    session.update(timeout=1)
    session.close()
    session = execute(["sh", "-c", "while [ $(stat -c %s /tmp/file) != 1048576 ]; do :; done; tar cf - -C /tmp file"], binary=True)
    back = b""
    while session.is_open():
        session.update(timeout=PATIENCE)
        back += session.read_stdout() if session.peek_stdout() else b""
    with tarfile.open(fileobj=io.BytesIO(back)) as tar:
        assert tar.extractfile("file").read() == content


def port_forward():
    forward = portforward(core.connect_get_namespaced_pod_portforward, "p", NAMESPACE, ports="8080")
    http = forward.socket(8080)
    http.settimeout(PATIENCE)
    http.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answer = b""
    while piece := http.recv(4096):
        answer += piece
    assert answer.endswith(b"hello\n"), answer
    assert forward.error(8080) is None, forward.error(8080)


def log():
    text = core.read_namespaced_pod_log("p", NAMESPACE)
    assert "started" in text, text
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "p", NAMESPACE)
    assert next(iter(lines)) == "started"


def start_pod():
    command = "echo hello > /tmp/index.html; echo started; exec httpd -f -p 8080 -h /tmp"
    container = {"name": "c", "image": os.environ["IMAGE"], "command": ["sh", "-c", command]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "p"}, "spec": spec})
    watcher = watch.Watch()
    for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=PATIENCE):
        conditions = event["object"].status.conditions or []
        if any(c.type == "Ready" and c.status == "True" for c in conditions):
            watcher.stop()
            return
    sys.exit("FAIL python: the pod is not ready")


CHECKS = [
    ("list, in pages", list_in_pages),
    ("watch", watch_goes_on),
    ("a watch that is too old", a_watch_that_is_too_old_says_so),
    ("informer", informer),
    ("server-side apply", server_side_apply),
    ("lease election", lease_election),
    ("exec, and a goodbye in the middle", exec_in_a_pod),
    ("copy", copy),
    ("port-forward", port_forward),
    ("log", log),
]

core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
start_pod()
for name, check in CHECKS:
    check()
    print(f"ok   python: {name}", flush=True)
core.delete_namespace(NAMESPACE)
print(f"python: {len(CHECKS)} passed, 0 failed", flush=True)
# Candidates go on for ever.
os._exit(0)

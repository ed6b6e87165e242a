// A live suite in JavaScript: the official client. $KUBECONFIG names the cluster, $IMAGE an image with a shell in it.

import assert from 'node:assert/strict';
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const namespace = 'client-javascript';
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const leases = config.makeApiClient(k8s.CoordinationV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const path = `/api/v1/namespaces/${namespace}/configmaps`;

const configMap = (name) => ({ metadata: { name, labels: { suite: 'javascript' } }, data: { colour: 'blue' } });
const create = (name) => core.createNamespacedConfigMap({ namespace, body: configMap(name) });

/** What is written to it, as text. */
class Text extends Writable {
  text = '';
  _write(chunk, _encoding, done) {
    this.text += chunk;
    done();
  }
}

async function list() {
  for (let i = 0; i < 7; i++) await create(`page-${i}`);
  const names = new Set();
  let pages = 0;
  let more;
  do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'suite=javascript', limit: 3, _continue: more });
    page.items.forEach((item) => names.add(item.metadata.name));
    more = page.metadata._continue;
    pages++;
  } while (more);
  assert.deepEqual([names.size, pages], [7, 3]);
}

async function watch() {
  const before = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  await create('watched');
  await core.patchNamespacedConfigMap(
    { namespace, name: 'watched', body: { data: { colour: 'green' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
  );
  await core.deleteNamespacedConfigMap({ namespace, name: 'watched' });
  const seen = [];
  await new Promise((resolve, reject) => {
    const event = (type, object) => {
      seen.push([type, object.data.colour]);
      if (type === 'DELETED') watching.then((controller) => controller.abort());
    };
    const done = (error) => (error && error.name !== 'AbortError' ? reject(error) : resolve());
    const watching = new k8s.Watch(config).watch(path, { resourceVersion: before }, event, done);
  });
  assert.deepEqual(seen, [['ADDED', 'blue'], ['MODIFIED', 'green'], ['DELETED', 'green']]);
}

async function informer() {
  const informer = k8s.makeInformer(config, path, () => core.listNamespacedConfigMap({ namespace }));
  const arrived = new Promise((resolve) => {
    informer.on('add', (object) => object.metadata.name === 'informed' && resolve());
  });
  await informer.start();
  await create('informed');
  await arrived;
  assert.equal(informer.get('informed', namespace).data.colour, 'blue');
  await informer.stop();
}

async function apply() {
  const as = (colour, manager, force) =>
    objects.patch(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied', namespace }, data: { colour } },
      undefined, undefined, manager, force, k8s.PatchStrategy.ServerSideApply,
    );
  await as('blue', 'one');
  await assert.rejects(as('red', 'other'), (error) => error.code === 409);
  assert.equal((await as('red', 'other', true)).data.colour, 'red');
}

// The client has no election of its own: what one is made of.
async function election() {
  const name = 'leader';
  const spec = (holderIdentity) => ({ holderIdentity, leaseDurationSeconds: 15, renewTime: new k8s.V1MicroTime() });
  await leases.createNamespacedLease({ namespace, body: { metadata: { name }, spec: spec('first') } });
  await assert.rejects(
    leases.createNamespacedLease({ namespace, body: { metadata: { name }, spec: spec('second') } }),
    (error) => error.code === 409,
  );
  const [one, other] = await Promise.all([1, 2].map(() => leases.readNamespacedLease({ namespace, name })));
  one.spec.holderIdentity = 'second';
  await leases.replaceNamespacedLease({ namespace, name, body: one });
  await assert.rejects(leases.replaceNamespacedLease({ namespace, name, body: other }), (error) => error.code === 409);
  assert.equal((await leases.readNamespacedLease({ namespace, name })).spec.holderIdentity, 'second');
}

async function exec() {
  const [out, errors, stdin] = [new Text(), new Text(), new PassThrough()];
  stdin.end('in\n');
  const status = await new Promise((resolve, reject) => {
    const command = ['sh', '-c', 'read x; echo out $x; echo err >&2; exit 7'];
    new k8s.Exec(config).exec(namespace, 'p', 'c', command, out, errors, stdin, false, resolve).catch(reject);
  });
  assert.deepEqual([out.text, errors.text], ['out in\n', 'err\n']);
  assert.equal(status.details.causes.find((cause) => cause.reason === 'ExitCode').message, '7');
  // A goodbye while the command runs is answered.
  const socket = await new k8s.Exec(config).exec(namespace, 'p', 'c', ['sleep', '3600'], out, errors, null, false);
  const closed = once(socket, 'close');
  socket.close(1000);
  assert.equal((await closed)[0], 1000);
}

// The client's copy does not wait for its end, and what it reads back it takes for something else than it asked for: that
// way goes by exec.
async function copy() {
  const directory = await mkdtemp(join(tmpdir(), 'ironclad-'));
  const content = randomBytes(1 << 20);
  await writeFile(join(directory, 'file'), content);
  await new k8s.Cp(config).cpToPod(namespace, 'p', 'c', directory, '/tmp');
  const pieces = [];
  const out = new Writable({ write: (piece, _encoding, done) => done(null, pieces.push(piece)) });
  const command = ['sh', '-c', 'while [ "$(stat -c %s /tmp/file)" != 1048576 ]; do :; done; cat /tmp/file'];
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config).exec(namespace, 'p', 'c', command, out, null, null, false, resolve).catch(reject);
  });
  assert.equal(status.status, 'Success');
  assert.ok(content.equals(Buffer.concat(pieces)), 'another file came back');
  await rm(directory, { recursive: true });
}

async function portForward() {
  const forward = new k8s.PortForward(config);
  const errors = new Text();
  const server = createServer((client) => forward.portForward(namespace, 'p', [8080], client, errors, client));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(server.address().port, '127.0.0.1');
  let answer = '';
  client.on('data', (data) => (answer += data));
  client.write('GET / HTTP/1.0\r\n\r\n');
  while (!answer.endsWith('hello\n')) await once(client, 'data');
  client.destroy();
  server.close();
  assert.equal(errors.text, '');
}

async function log() {
  const out = new PassThrough();
  const [first] = await Promise.all([once(out, 'data'), new k8s.Log(config).log(namespace, 'p', 'c', out, { follow: true })]);
  assert.equal(String(first[0]), 'started\n');
}

async function startPod() {
  const command = ['sh', '-c', 'echo hello > /tmp/index.html; echo started; exec httpd -f -p 8080 -h /tmp'];
  const containers = [{ name: 'c', image: process.env.IMAGE, command }];
  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'p' }, spec: { terminationGracePeriodSeconds: 0, containers } } });
  await new Promise((resolve, reject) => {
    const event = (_type, pod) => {
      const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
      if (ready) watching.then((controller) => controller.abort());
    };
    const done = (error) => (error && error.name !== 'AbortError' ? reject(error) : resolve());
    const watching = new k8s.Watch(config).watch(`/api/v1/namespaces/${namespace}/pods`, {}, event, done);
  });
}

const checks = [
  ['list, in pages', list],
  ['watch', watch],
  ['informer', informer],
  ['server-side apply', apply],
  ['leases', election],
  ['exec, and a goodbye in the middle', exec],
  ['copy', copy],
  ['port-forward', portForward],
  ['log', log],
];

try {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  await startPod();
  for (const [name, check] of checks) {
    await check();
    console.log(`ok   javascript: ${name}`);
  }
  await core.deleteNamespace({ name: namespace });
  console.log(`javascript: ${checks.length} passed, 0 failed`);
  process.exit(0);
} catch (error) {
  console.error('FAIL javascript:', error);
  process.exit(1);
}

// A live suite in Java: fabric8's client, whose watches are WebSockets. $KUBECONFIG names the cluster, $IMAGE an image
// with a shell in it.

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.ListOptionsBuilder;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.LocalPortForward;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.ExecListener;
import io.fabric8.kubernetes.client.dsl.ExecWatch;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import io.fabric8.kubernetes.client.informers.SharedIndexInformer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public class Suite {
    static final String NAMESPACE = "client-java";
    static final long PATIENCE = 30;

    interface Check {
        void run() throws Exception;
    }

    final KubernetesClient client = new KubernetesClientBuilder().build();

    public static void main(String[] arguments) {
        try {
            new Suite().run();
            System.exit(0);
        } catch (Throwable error) {
            System.err.print("FAIL java: ");
            error.printStackTrace();
            System.exit(1);
        }
    }

    void run() throws Exception {
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("list, in pages", this::list);
        checks.put("watch over a WebSocket", this::watch);
        checks.put("informer", this::informer);
        checks.put("server-side apply", this::apply);
        checks.put("lease election", this::election);
        checks.put("exec", this::exec);
        checks.put("copy", this::copy);
        checks.put("port-forward", this::portForward);
        checks.put("log", this::log);
        client.namespaces().resource(new NamespaceBuilder().withNewMetadata().withName(NAMESPACE).endMetadata().build()).create();
        startPod();
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            check.getValue().run();
            System.out.println("ok   java: " + check.getKey());
        }
        client.namespaces().withName(NAMESPACE).delete();
        System.out.println("java: " + checks.size() + " passed, 0 failed");
    }

    static void expect(boolean what, Object otherwise) {
        if (!what) {
            throw new AssertionError(otherwise);
        }
    }

    static ConfigMap configMap(String name, String colour) {
        return new ConfigMapBuilder().withNewMetadata().withName(name).withNamespace(NAMESPACE).addToLabels("suite", "java")
            .endMetadata().addToData("colour", colour).build();
    }

    void list() {
        for (int i = 0; i < 7; i++) {
            client.resource(configMap("page-" + i, "blue")).create();
        }
        HashSet<String> names = new HashSet<>();
        int pages = 0;
        String more = null;
        do {
            var options = new ListOptionsBuilder().withLimit(3L).withContinue(more).build();
            var page = client.configMaps().inNamespace(NAMESPACE).withLabel("suite", "java").list(options);
            page.getItems().forEach(item -> names.add(item.getMetadata().getName()));
            more = page.getMetadata().getContinue();
            pages++;
        } while (more != null && !more.isEmpty());
        expect(names.size() == 7 && pages == 3, names + " on " + pages);
    }

    void watch() throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        CompletableFuture<Boolean> closed = new CompletableFuture<>();
        var watch = client.configMaps().inNamespace(NAMESPACE).withName("watched").watch(new Watcher<ConfigMap>() {
            @Override
            public void eventReceived(Action action, ConfigMap object) {
                seen.add(action + " " + object.getData().get("colour"));
            }

            @Override
            public void onClose(WatcherException cause) {
                closed.complete(false);
            }

            @Override
            public void onClose() {
                closed.complete(true);
            }
        });
        client.resource(configMap("watched", "blue")).create();
        client.configMaps().inNamespace(NAMESPACE).withName("watched").edit(map -> {
            map.getData().put("colour", "green");
            return map;
        });
        client.configMaps().inNamespace(NAMESPACE).withName("watched").delete();
        for (String expected : List.of("ADDED blue", "MODIFIED green", "DELETED green")) {
            String found = seen.poll(PATIENCE, TimeUnit.SECONDS);
            expect(expected.equals(found), found);
        }
        watch.close();
        expect(closed.get(PATIENCE, TimeUnit.SECONDS), "it was closed by a fault");
    }

    void informer() throws Exception {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        try (SharedIndexInformer<ConfigMap> informer = client.configMaps().inNamespace(NAMESPACE).inform(new ResourceEventHandler<>() {
            @Override
            public void onAdd(ConfigMap object) {
                seen.add(object.getMetadata().getName());
            }

            @Override
            public void onUpdate(ConfigMap before, ConfigMap after) {}

            @Override
            public void onDelete(ConfigMap object, boolean unknown) {}
        })) {
            client.resource(configMap("informed", "blue")).create();
            String name;
            do {
                name = seen.poll(PATIENCE, TimeUnit.SECONDS);
            } while (name != null && !name.equals("informed"));
            expect(name != null, "it was not told");
            expect(informer.getStore().getByKey(NAMESPACE + "/informed") != null, "the store has it not");
            expect(informer.isWatching(), "it does not watch");
        }
    }

    void apply() {
        PatchContext.Builder as = new PatchContext.Builder().withPatchType(PatchType.SERVER_SIDE_APPLY);
        client.resource(configMap("applied", "blue")).patch(as.withFieldManager("one").build());
        try {
            client.resource(configMap("applied", "red")).patch(as.withFieldManager("other").build());
            throw new AssertionError("no conflict");
        } catch (KubernetesClientException refused) {
            expect(refused.getCode() == 409, refused);
        }
        ConfigMap found = client.resource(configMap("applied", "red")).fieldManager("other").forceConflicts().serverSideApply();
        expect("red".equals(found.getData().get("colour")), found);
    }

    void election() throws Exception {
        BlockingQueue<String> turns = new LinkedBlockingQueue<>();
        CompletableFuture<?> first = elect("first", turns);
        expect("first".equals(turns.poll(PATIENCE, TimeUnit.SECONDS)), "the first does not lead");
        CompletableFuture<?> second = elect("second", turns);
        first.cancel(true);
        expect("second".equals(turns.poll(PATIENCE, TimeUnit.SECONDS)), "the second does not lead");
        String holder = client.leases().inNamespace(NAMESPACE).withName("leader").get().getSpec().getHolderIdentity();
        expect("second".equals(holder), holder);
        second.cancel(true);
    }

    CompletableFuture<?> elect(String identity, BlockingQueue<String> turns) {
        return client.leaderElector().withConfig(new LeaderElectionConfigBuilder()
            .withName("suite").withReleaseOnCancel(true).withLock(new LeaseLock(NAMESPACE, "leader", identity))
            .withLeaseDuration(Duration.ofSeconds(5)).withRenewDeadline(Duration.ofSeconds(3)).withRetryPeriod(Duration.ofMillis(200))
            .withLeaderCallbacks(new LeaderCallbacks(() -> turns.add(identity), () -> {}, leader -> {})).build()).build().start();
    }

    void exec() throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        CompletableFuture<Integer> closed = new CompletableFuture<>();
        ExecListener listener = new ExecListener() {
            @Override
            public void onClose(int code, String reason) {
                closed.complete(code);
            }
        };
        try (ExecWatch exec = client.pods().inNamespace(NAMESPACE).withName("p").redirectingInput().writingOutput(out)
            .writingError(errors).usingListener(listener).exec("sh", "-c", "read x; echo out $x; echo err >&2; exit 7")) {
            exec.getInput().write("in\n".getBytes(StandardCharsets.UTF_8));
            exec.getInput().flush();
            int code = exec.exitCode().get(PATIENCE, TimeUnit.SECONDS);
            expect(code == 7, code);
            // The server closes first, and says that all is well.
            expect(closed.get(PATIENCE, TimeUnit.SECONDS) == 1000, closed);
        }
        expect(out.toString().equals("out in\n") && errors.toString().equals("err\n"), out + " " + errors);
    }

    void copy() throws Exception {
        byte[] content = new byte[1 << 20];
        new Random(7).nextBytes(content);
        var file = client.pods().inNamespace(NAMESPACE).withName("p").file("/tmp/file");
        expect(file.upload(new ByteArrayInputStream(content)), "it was not taken");
        Path back = Files.createTempFile("ironclad", "");
        expect(client.pods().inNamespace(NAMESPACE).withName("p").file("/tmp/file").copy(back), "it did not come back");
        expect(Arrays.equals(content, Files.readAllBytes(back)), "another file came back");
        Files.delete(back);
    }

    void portForward() throws Exception {
        try (LocalPortForward forward = client.pods().inNamespace(NAMESPACE).withName("p").portForward(8080)) {
            URI place = URI.create("http://127.0.0.1:" + forward.getLocalPort() + "/");
            HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
            HttpRequest request = HttpRequest.newBuilder(place).timeout(Duration.ofSeconds(PATIENCE)).build();
            String said = http.send(request, HttpResponse.BodyHandlers.ofString()).body();
            expect(said.equals("hello\n"), said);
            expect(!forward.errorOccurred(), forward.getServerThrowables());
        }
    }

    void log() {
        String text = client.pods().inNamespace(NAMESPACE).withName("p").getLog();
        expect(text.contains("started"), text);
    }

    void startPod() {
        String command = "echo hello > /tmp/index.html; echo started; exec httpd -f -p 8080 -h /tmp";
        Pod pod = new PodBuilder().withNewMetadata().withName("p").withNamespace(NAMESPACE).endMetadata().withNewSpec()
            .withTerminationGracePeriodSeconds(0L).addNewContainer().withName("c").withImage(System.getenv("IMAGE"))
            .withCommand("sh", "-c", command).endContainer().endSpec().build();
        client.resource(pod).create();
        client.resource(pod).waitUntilReady(PATIENCE, TimeUnit.SECONDS);
    }
}

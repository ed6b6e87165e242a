// Records what CoreDNS says: for each file `*.txt` of a folder, which is a Corefile, a line `---`, and questions, it writes
// the answer under each question. The cluster, and the name server that UPSTREAM in the Corefile stands for, are those of
// the folder's world.json. Lines that begin with `!` (what Ironclad says instead, and why) are kept.
//
// With `serve COREFILE WORLD` it is a CoreDNS of that cluster, to be measured beside.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/miekg/dns"

	_ "github.com/coredns/coredns/plugin/acl"
	_ "github.com/coredns/coredns/plugin/any"
	_ "github.com/coredns/coredns/plugin/autopath"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/bufsize"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/dns64"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/local"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/minimal"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/template"
)

// World is the cluster, and what the name server outside says: lines by question (`NAME TYPE`).
type World struct {
	Namespaces     []json.RawMessage            `json:"namespaces"`
	Services       []json.RawMessage            `json:"services"`
	EndpointSlices []json.RawMessage            `json:"endpointslices"`
	Pods           []json.RawMessage            `json:"pods"`
	Upstream       map[string]map[string]string `json:"upstream"`
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		world := read(os.Args[3])
		start(string(must(os.ReadFile(os.Args[2]))), api(world))
		select {}
	}
	folder := os.Args[1]
	world := read(filepath.Join(folder, "world.json"))
	server, upstream := api(world), outside(world)
	for _, path := range must(filepath.Glob(filepath.Join(folder, "*.txt"))) {
		record(path, server, upstream)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func read(path string) World {
	var world World
	if err := json.Unmarshal(must(os.ReadFile(path)), &world); err != nil {
		panic(err)
	}
	return world
}

// api serves lists, and watches in which nothing ever happens.
func api(world World) string {
	kinds := map[string]struct {
		kind, version string
		items         []json.RawMessage
	}{
		"/api/v1/namespaces":                      {"NamespaceList", "v1", world.Namespaces},
		"/api/v1/services":                        {"ServiceList", "v1", world.Services},
		"/api/v1/pods":                            {"PodList", "v1", world.Pods},
		"/apis/discovery.k8s.io/v1/endpointslices": {"EndpointSliceList", "discovery.k8s.io/v1", world.EndpointSlices},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, ok := kinds[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		query := r.URL.Query()
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case query.Get("sendInitialEvents") != "":
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
		case query.Get("watch") != "":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			items := kind.items
			if strings.Contains(query.Get("fieldSelector"), "status.phase!=Succeeded") {
				items = nil
				for _, item := range kind.items {
					if !strings.Contains(string(item), `"Succeeded"`) {
						items = append(items, item)
					}
				}
			}
			json.NewEncoder(w).Encode(map[string]any{
				"kind": kind.kind, "apiVersion": kind.version, "metadata": map[string]string{"resourceVersion": "1"}, "items": items,
			})
		}
	}))
	return server.URL
}

// outside is the name server that UPSTREAM stands for.
func outside(world World) string {
	conn := must(net.ListenPacket("udp", "127.0.0.1:0"))
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		m.RecursionAvailable = true
		q := r.Question[0]
		said, ok := world.Upstream[strings.ToLower(q.Name)+" "+dns.TypeToString[q.Qtype]]
		if !ok {
			m.Rcode = dns.RcodeRefused
		}
		if code := said["code"]; code != "" {
			m.Rcode = dns.StringToRcode[code]
		}
		for section, into := range map[string]*[]dns.RR{"answer": &m.Answer, "authority": &m.Ns} {
			for _, line := range strings.Split(said[section], "\n") {
				if line != "" {
					*into = append(*into, must(dns.NewRR(line)))
				}
			}
		}
		w.WriteMsg(m)
	})
	go (&dns.Server{PacketConn: conn, Handler: handler}).ActivateAndServe()
	return conn.LocalAddr().String()
}

func start(corefile, server string) *caddy.Instance {
	lines := strings.Split(corefile, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "kubernetes ") {
			lines[i] += "\nendpoint " + server
		}
	}
	caddy.Quiet, dnsserver.Quiet = true, true
	input := caddy.CaddyfileInput{Contents: []byte(strings.Join(lines, "\n")), Filepath: "Corefile", ServerTypeName: "dns"}
	return must(caddy.Start(input))
}

func record(path, server, upstream string) {
	text := string(must(os.ReadFile(path)))
	corefile, questions, _ := strings.Cut(text, "\n---\n")
	free := must(net.Listen("tcp", "127.0.0.1:0"))
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	instance := start(strings.NewReplacer("UPSTREAM", upstream, "/etc/coredns/", filepath.Dir(path)+"/", ":53 ", ":"+port+" ").Replace(corefile), server)
	defer instance.Stop()
	out := []string{corefile, "---"}
	for _, line := range strings.Split(strings.TrimRight(questions, "\n"), "\n") {
		if strings.HasPrefix(line, "= ") {
			continue
		}
		out = append(out, line)
		name, kind, ok := strings.Cut(line, " ")
		if !ok || strings.HasPrefix(line, "!") || strings.HasPrefix(line, "#") {
			continue
		}
		m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[kind])
		said := must(dns.Exchange(m, address))
		out = append(out, "= "+show(said))
	}
	if err := os.WriteFile(path, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
		panic(err)
	}
}

// show is `CODE [aa] [tc] | ANSWERS | AUTHORITY | ADDITIONAL`, each in the order of the alphabet.
func show(m *dns.Msg) string {
	text := dns.RcodeToString[m.Rcode]
	if m.Authoritative {
		text += " aa"
	}
	if m.Truncated {
		text += " tc"
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		lines := []string{}
		for _, rr := range section {
			h := rr.Header()
			if h.Rrtype == dns.TypeOPT {
				continue
			}
			data := strings.ReplaceAll(strings.TrimPrefix(rr.String(), h.String()), `"`, "")
			if soa, ok := rr.(*dns.SOA); ok {
				data = fmt.Sprintf("%s %s %d", soa.Ns, soa.Mbox, soa.Minttl)
			}
			lines = append(lines, fmt.Sprintf("%s %d %s %s", h.Name, h.Ttl, dns.TypeToString[h.Rrtype], data))
		}
		sort.Strings(lines)
		text += " | " + strings.Join(lines, "; ")
	}
	return strings.TrimRight(text, " |")
}

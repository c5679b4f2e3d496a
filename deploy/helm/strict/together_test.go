package main

import (
	"os"
	"strings"
	"testing"
)

// Each of these is one edit of a chart that is right, and what is said of it.
func TestWhatIsWrongIsSaid(t *testing.T) {
	text, err := os.ReadFile("../rendered/nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	right := string(text)
	decoder := decoder()
	if count, err := check(text, decoder); err != nil || count < 6 {
		t.Fatalf("%d manifests: %v", count, err)
	}
	for _, one := range []struct{ from, to, says string }{
		{"minReadySeconds:", "minimumReadySeconds:", `unknown field "spec.minimumReadySeconds"`},
		{"replicas: 3", "replicas: three", "cannot unmarshal string"},
		{"memory: 1Gi", "memory: much", "quantities must match"},
		{"replicas: 3", "replicas: 3\n  replicas: 3", `key "replicas" already set`},
		{"apiVersion: policy/v1", "apiVersion: policy/v1beta9", "no kind"},
		{"runAsNonRoot: true", "runAsNonRoot: false", "not `restricted`"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "not `restricted`"},
		{"type: RuntimeDefault", "type: Unconfined", "not `restricted`"},
		{"- name: tls\n", "- name: tsl\n", "there is no volume `tls`"},
		{"{ name: tls, mountPath: /run/daypass/tls, readOnly: true }", "{ name: control, mountPath: /x }", "nothing mounts `tls`"},
		{"serviceAccountName: daypass", "serviceAccountName: other", "there is no ServiceAccount `other`"},
		{"configMap: { name: daypass }", "configMap: { name: other }", "there is no ConfigMap of `config`"},
		{"targetPort: service", "targetPort: serve", "no container has the port of Service daypass `serve`"},
		{"{ name: service, containerPort", "{ name: other, containerPort", "a probe asks at no port `service`"},
		{"selector:\n    app.kubernetes.io/name: daypass", "selector:\n    app.kubernetes.io/name: other", "Service daypass selects no pod"},
		{"kind: Deployment", "kind: DaemonSet", "unknown field"},
	} {
		edited := strings.Replace(right, one.from, one.to, 1)
		if edited == right {
			t.Fatalf("there is no %q", one.from)
		}
		if _, err := check([]byte(edited), decoder); err == nil || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%q: %v", one.to, err)
		}
	}
	if _, err := check([]byte("# nothing\n"), decoder); err == nil {
		t.Error("nothing was taken")
	}
}

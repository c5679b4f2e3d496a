// Reads manifests as Kubernetes does where it is strict, and says what it would not take: a kind or a field that does not exist, a value
// of another type, a field said twice; pods that the Pod Security Standard `restricted` turns away; selectors and references that
// lead nowhere. The version of Kubernetes is that of the modules, the oldest that the chart is for.
//
// Usage: go run . FILE…
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// decoder reads the kinds that the chart has, and refuses what it does not know.
func decoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			fail(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

func main() {
	decoder := decoder()
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fail(err)
		}
		count, err := check(text, decoder)
		if err == nil && count == 0 {
			err = errors.New("there is no manifest in it")
		}
		if err != nil {
			fail(fmt.Errorf("%s: %w", path, err))
		}
		fmt.Printf("%s: %d manifests\n", path, count)
	}
	if len(os.Args) == 1 {
		fail(errors.New("no files"))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func check(text []byte, decoder runtime.Decoder) (int, error) {
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var objects []runtime.Object
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return len(objects), together(objects)
		}
		if err != nil {
			return 0, err
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return 0, fmt.Errorf("%v: %w", kind, err)
		}
		objects = append(objects, object)
	}
}

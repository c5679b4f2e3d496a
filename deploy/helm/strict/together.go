package main

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// workload is what makes pods.
type workload struct {
	name     string
	selector *metav1.LabelSelector
	template corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
	service  string
}

// release is what is found in one file.
type release struct {
	workloads []workload
	services  map[string]*corev1.Service
	accounts  map[string]bool
	configs   map[string]bool
	// What selects pods, by kind and name.
	selectors map[string]*metav1.LabelSelector
}

// together says what does not fit together.
func together(objects []runtime.Object) error {
	found := release{
		services: map[string]*corev1.Service{}, accounts: map[string]bool{}, configs: map[string]bool{},
		selectors: map[string]*metav1.LabelSelector{},
	}
	for _, object := range objects {
		found.add(object)
	}
	if len(found.workloads) == 0 {
		return errors.New("nothing makes pods")
	}
	wrong := []error{found.selected()}
	for _, one := range found.workloads {
		wrong = append(wrong, found.fits(one), one.admitted())
	}
	return errors.Join(wrong...)
}

func (r *release) add(object runtime.Object) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		r.workloads = append(r.workloads, workload{o.Name, o.Spec.Selector, o.Spec.Template, nil, ""})
	case *appsv1.StatefulSet:
		r.workloads = append(r.workloads,
			workload{o.Name, o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates, o.Spec.ServiceName})
	case *corev1.Service:
		r.services[o.Name] = o
		r.selectors["Service "+o.Name] = &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
	case *corev1.ServiceAccount:
		r.accounts[o.Name] = true
	case *corev1.ConfigMap:
		r.configs[o.Name] = true
	case *networkingv1.NetworkPolicy:
		r.selectors["NetworkPolicy "+o.Name] = &o.Spec.PodSelector
	case *policyv1.PodDisruptionBudget:
		r.selectors["PodDisruptionBudget "+o.Name] = o.Spec.Selector
	}
}

// selected says what selects no pod.
func (r *release) selected() error {
	for name, selector := range r.selectors {
		some := false
		for _, one := range r.workloads {
			matches, err := selects(selector, one.template.Labels)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			some = some || matches
		}
		if !some {
			return fmt.Errorf("%s selects no pod", name)
		}
	}
	return nil
}

func selects(selector *metav1.LabelSelector, of map[string]string) (bool, error) {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, err
	}
	return !parsed.Empty() && parsed.Matches(labels.Set(of)), nil
}

// fits says where something of a pod leads nowhere: its own selector, account, service, volumes, configuration and ports.
func (r *release) fits(one workload) error {
	pod := one.template.Spec
	var wrong []error
	require := func(holds bool, what string, name string) {
		if !holds {
			wrong = append(wrong, fmt.Errorf("%s: %s `%s`", one.name, what, name))
		}
	}
	own, err := selects(one.selector, one.template.Labels)
	require(err == nil && own, "does not select its own pods", one.name)
	require(r.accounts[pod.ServiceAccountName], "there is no ServiceAccount", pod.ServiceAccountName)
	require(one.service == "" || r.services[one.service] != nil, "there is no Service", one.service)

	mounted := map[string]int{}
	ports := map[string]bool{}
	for _, container := range pod.Containers {
		for _, mount := range container.VolumeMounts {
			mounted[mount.Name]++
		}
		for _, port := range container.Ports {
			ports[port.Name] = true
		}
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
			require(probe != nil && (probe.HTTPGet != nil || probe.Exec != nil), "a probe is missing of", container.Name)
			if probe != nil && probe.HTTPGet != nil {
				require(ports[probe.HTTPGet.Port.StrVal], "a probe asks at no port", probe.HTTPGet.Port.String())
			}
		}
	}
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
		require(volume.ConfigMap == nil || r.configs[volume.ConfigMap.Name], "there is no ConfigMap of", volume.Name)
	}
	for _, claim := range one.claims {
		volumes[claim.Name] = true
	}
	for name := range volumes {
		require(mounted[name] > 0, "nothing mounts", name)
	}
	for name := range mounted {
		require(volumes[name], "there is no volume", name)
	}
	for name, service := range r.services {
		for _, port := range service.Spec.Ports {
			named := port.TargetPort.Type == intstr.String && ports[port.TargetPort.StrVal]
			require(named, "no container has the port of Service "+name, port.TargetPort.String())
		}
	}
	return errors.Join(wrong...)
}

// admitted says what the Pod Security Standard `restricted` has against a pod.
func (w workload) admitted() error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		return err
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	found := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &w.template.ObjectMeta, &w.template.Spec))
	if !found.Allowed {
		return fmt.Errorf("%s: not `restricted`: %s", w.name, found.ForbiddenDetail())
	}
	return nil
}

// Package node holds what a Kubernetes node runs beside a control plane: kubelet, kube-proxy, containerd and its ctr.
// The runc shim is a program of its own: linked in here it would start every containerd plugin, and each pod would fail.
package node

import (
	"context"
	"fmt"
	"os"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins" // containerd's plugins
	containerd "github.com/containerd/containerd/v2/cmd/containerd/command"
	ctr "github.com/containerd/containerd/v2/cmd/ctr/app"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	"munbon.test/localcluster/parts/multicall"
)

// Parts are the programs of the node.
func Parts() multicall.Parts {
	return multicall.Parts{
		"kubelet":    func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
		"kube-proxy": func() int { return cli.Run(proxy.NewProxyCommand()) },
		"containerd": func() int { return report("containerd", containerd.App().Run(os.Args)) },
		"ctr":        func() int { return report("ctr", ctr.New().Run(os.Args)) },
	}
}

func report(name string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", name, err)
	return 1
}

// Package controlplane holds the four parts of a Kubernetes control plane: kine on SQLite, API server, controllers, scheduler.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	_ "time/tzdata" // CronJob time zones, also where the machine has no zone files

	kine "github.com/k3s-io/kine/pkg/app"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // the JSON log format
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // version metric
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"munbon.test/localcluster/parts/multicall"
)

// Parts are the programs of the control plane.
func Parts() multicall.Parts {
	return multicall.Parts{
		"kine":                    runKine,
		"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
		"kube-controller-manager": func() int { return cli.Run(controllers.NewControllerManagerCommand()) },
		"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	}
}

func runKine() int {
	if err := kine.New().Run(os.Args); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "kine: %s\n", err)
		return 1
	}
	return 0
}

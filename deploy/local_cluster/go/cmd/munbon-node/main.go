// Command munbon-node is a whole Kubernetes node in one file: control plane, kubelet, kube-proxy, containerd.
package main

import (
	"maps"

	"munbon.test/localcluster/parts/controlplane"
	"munbon.test/localcluster/parts/multicall"
	"munbon.test/localcluster/parts/node"
)

func main() {
	parts := controlplane.Parts()
	maps.Copy(parts, node.Parts())
	multicall.Run(parts)
}

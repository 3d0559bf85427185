// Command munbon-control-plane is a Kubernetes control plane in one file; it needs no root.
package main

import (
	"munbon.test/localcluster/parts/controlplane"
	"munbon.test/localcluster/parts/multicall"
)

func main() { multicall.Run(controlplane.Parts()) }

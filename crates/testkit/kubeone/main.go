// Every Kubernetes component of the test cluster in one program, chosen by the name it is called by.
//
// One program links in a sixth of the time and a quarter of the space that seven need. The go.mod beside it is written at
// build time for the Kubernetes version wanted, because k8s.io/kubernetes can only be built with a replacement for each of
// its staging modules.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var components = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 newKubelet,
	"kubectl":                 kubectl.NewDefaultKubectlCommand,
}

// newKubelet calls what has taken a context since Kubernetes 1.34 and took none before.
func newKubelet() *cobra.Command {
	var create any = kubelet.NewKubeletCommand
	if withContext, ok := create.(func(context.Context) *cobra.Command); ok {
		return withContext(context.Background())
	}
	return create.(func() *cobra.Command)()
}

func main() {
	name := filepath.Base(os.Args[0])
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	create, known := components[name]
	if !known {
		fmt.Fprintf(os.Stderr, "call this program by the name of a component, not %q\n", name)
		os.Exit(2)
	}
	command := create()
	command.SetArgs(os.Args[1:])
	os.Exit(cli.Run(command))
}

{{- define "profiling-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "profiling-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "profiling-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "profiling-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "profiling-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespace.name }}
{{- end }}

{{- define "profiling-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "profiling-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "profiling-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* `app` beside the recommended labels: the commands in the documentation select by it. */}}
{{- define "profiling-operator.selectorLabels" -}}
app: profiling-operator
app.kubernetes.io/name: {{ include "profiling-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "profiling-operator.labels" -}}
{{ include "profiling-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Where the default config is: where the operator looks. In the operator's own namespace it may select all. */}}
{{- define "profiling-operator.defaultConfigNamespace" -}}
{{- default (include "profiling-operator.namespace" .) .Values.operator.watchNamespace }}
{{- end }}

{{/* What the operator reads and does in the namespaces that it watches. */}}
{{- define "profiling-operator.rules" -}}
# Configs are the users': the operator reads them and says in their status what it does.
- apiGroups: [profiling.io]
  resources: [profilingconfigs]
  verbs: [get, list, watch]
- apiGroups: [profiling.io]
  resources: [profilingconfigs/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# Both verbs: the tunnel is opened by a GET that becomes a WebSocket, and from Kubernetes 1.35 on the
# API server asks for "create" as well.
- apiGroups: [""]
  resources: [pods/portforward]
  verbs: [get, create]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Names of what lives in the release's namespace. */}}
{{- define "pynenc-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 37 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/*
Names of what belongs to the whole cluster: the namespace comes last, behind a dot, which no namespace holds, so that two
releases never share a name.
*/}}
{{- define "pynenc-operator.clusterName" -}}
{{- printf "%s.%s" (include "pynenc-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* The workers' ClusterRole, and the policy that holds whoever it is bound to. */}}
{{- define "pynenc-operator.workersName" -}}
{{- printf "%s-workers.%s" (include "pynenc-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "pynenc-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Of the pod of `helm test`, which the Service must not take for the operator. */}}
{{- define "pynenc-operator.testLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "pynenc-operator.labels" -}}
{{ include "pynenc-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
What the operator may do where it serves runners: exactly what it does. It changes pods only by their status
(the drain request), reads no Secret that it isn't named, and hands workers no more than their ClusterRole.
*/}}
{{- define "pynenc-operator.rules" -}}
- apiGroups: [pynenc.org]
  resources: [multithreadrunners]
  verbs: [list, watch]
- apiGroups: [pynenc.org]
  resources: [multithreadrunners/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings]
  verbs: [get, create, update]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterroles]
  resourceNames: [{{ include "pynenc-operator.workersName" . }}]
  verbs: [bind]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "pynenc-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "pynenc-operator.fullname" .) "default") -}}
{{- end -}}

{{- define "pynenc-operator.subject" -}}
- kind: ServiceAccount
  name: {{ include "pynenc-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

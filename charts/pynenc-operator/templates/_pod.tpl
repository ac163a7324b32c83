{{/* A digest names one image for ever; a tag beside it would only look as if it mattered. */}}
{{- define "pynenc-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The operator's environment, each name once: Helm applies server-side, where a name given twice is an error. extraEnv adds
to it, and contradicts nothing: the operator's settings have values of their own in the chart, and it ignores pynenc's.
*/}}
{{- define "pynenc-operator.env" -}}
{{- $env := dict
  "PYNENC_OPERATOR_WATCH_NAMESPACES" (join "," .Values.watchNamespaces)
  "PYNENC_OPERATOR_WORKER_CLUSTER_ROLE" (include "pynenc-operator.workersName" .)
  "PYNENC_OPERATOR_LEASE_NAMESPACE" .Release.Namespace
  "PYNENC_OPERATOR_LEASE_NAME" (include "pynenc-operator.fullname" .)
  "PYNENC_OPERATOR_ALLOW_LOCAL_BACKENDS" (toString .Values.allowLocalBackends)
  "PYNENC_OPERATOR_LOG_LEVEL" .Values.logLevel
  "PYNENC_OPERATOR_RELAXED_X509" (toString .Values.relaxedX509)
  "PYNENC_OPERATOR_SQLITE_DIR" (include "pynenc-operator.sqliteDir" .)
  "PYNENC_OPERATOR_PORT" "8080" -}}
{{- range $name, $value := $env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- $seen := dict "POD_NAME" true -}}
{{- range .Values.extraEnv -}}
{{- if or (hasKey $seen .name) (hasPrefix "PYNENC_OPERATOR_" .name) (hasPrefix "PYNENC__" .name) -}}
{{- $why := "the operator takes no settings of pynenc but a MultiThreadRunner's" -}}
{{- if hasPrefix "PYNENC_OPERATOR_" .name -}}{{- $why = "the chart sets the operator's settings: see the values of similar names" -}}
{{- else if hasKey $seen .name -}}{{- $why = "it is set already: give each name once, and POD_NAME not at all" -}}{{- end -}}
{{- fail (printf "extraEnv: %s: %s" .name $why) -}}
{{- end -}}
{{- $_ := set $seen .name true }}
{{ toYaml (list .) }}
{{- end }}
{{- end -}}

{{/* Where the operator looks for the files of SQLite backends. */}}
{{- define "pynenc-operator.sqliteDir" -}}/var/lib/pynenc{{- end -}}

{{- define "pynenc-operator.hasSqlite" -}}
{{- if or .Values.sqlite.existingClaim .Values.sqlite.volume -}}true{{- end -}}
{{- end -}}

{{- define "pynenc-operator.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if include "pynenc-operator.hasSqlite" . }}
- name: sqlite
  {{- with .Values.sqlite.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ . | quote }}
  {{- end }}
  {{- with .Values.sqlite.volume }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- $seen := dict "tmp" true "sqlite" true -}}
{{- range .Values.extraVolumes -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "extraVolumes: %s: a volume is called so already; give each name once, and tmp and sqlite not at all" .name) -}}
{{- end -}}
{{- $_ := set $seen .name true }}
{{ toYaml (list .) }}
{{- end }}
{{- end -}}

{{- define "pynenc-operator.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if include "pynenc-operator.hasSqlite" . }}
- name: sqlite
  mountPath: {{ include "pynenc-operator.sqliteDir" . }}
{{- end }}
{{- $seen := dict "/tmp" true (include "pynenc-operator.sqliteDir" .) (include "pynenc-operator.hasSqlite" .) -}}
{{- range .Values.extraVolumeMounts -}}
{{- if get $seen .mountPath -}}
{{- fail (printf "extraVolumeMounts: %s: something is mounted there already" .mountPath) -}}
{{- end -}}
{{- $_ := set $seen .mountPath true }}
{{ toYaml (list .) }}
{{- end }}
{{- end -}}

{{/* Labels of the pods: what selects them can't be given another value, or the Deployment would lose them. */}}
{{- define "pynenc-operator.podLabels" -}}
{{- $own := include "pynenc-operator.selectorLabels" . | fromYaml -}}
{{- range $name, $_ := .Values.podLabels -}}
{{- if hasKey $own $name -}}
{{- fail (printf "podLabels: %s: this label selects the operator's pods, and the chart sets it" $name) -}}
{{- end -}}
{{- end -}}
{{- merge $own .Values.podLabels | toYaml -}}
{{- end -}}

{{/* A constraint counts the operator's own pods unless it says which. */}}
{{- define "pynenc-operator.topologySpreadConstraints" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "pynenc-operator.selectorLabels" . | fromYaml)) -}}
{{- range .Values.topologySpreadConstraints }}
{{ toYaml (list (merge (hasKey . "labelSelector" | ternary (dict) (deepCopy $own)) .)) }}
{{- end }}
{{- end -}}

{{/* Where pods of the release may run, and by what right: the operator's, and the one of `helm test`. */}}
{{- define "pynenc-operator.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

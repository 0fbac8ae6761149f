/** Runs Helm on the chart and reads what it renders. Tests only. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse, parseAllDocuments } from 'yaml'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const chart = join(root, 'helm/postern')

/** APIs that a cluster may or may not serve, and that the chart uses. */
export const optionalApis = ['gateway.networking.k8s.io/v1', 'monitoring.coreos.com/v1'] as const

/**
 * The Kubernetes that `schemas/` describes. Without a cluster Helm renders for the version that it was built with:
 * after `go install` that can be 1.20, which the chart's `kubeVersion` refuses.
 */
export const kubeVersion = '1.36.3'

const run = promisify(execFile)

/** Path of a program on PATH or among those that scripts/ci-tools.sh installs; undefined: missing. */
export function findTool(name: string): string | undefined {
  const cache = process.env['POSTERN_TOOLS'] ?? join(homedir(), '.cache/postern-tools')
  const folders = [join(cache, 'bin'), ...(process.env['PATH'] ?? '').split(delimiter)]
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
}

/** Name of a suite that needs a program: says, when it is skipped, which command installs it. */
export function needing(tool: string, suite: string): string {
  return findTool(tool) === undefined
    ? `${suite} (skipped: no ${tool}; install it with \`bash scripts/ci-tools.sh\`)`
    : suite
}

/** The parts of a rendered object that tests look at; everything else is there too. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly spec: Spec
  readonly data?: Readonly<Record<string, string>>
  readonly stringData?: Readonly<Record<string, string>>
}

type Labels = Readonly<Record<string, string>>

interface Spec {
  readonly template: { readonly metadata: KubeObject['metadata']; readonly spec: PodSpec }
  readonly replicas?: number
  readonly strategy?: { readonly type: string }
  /** Labels directly in a Service, a selector object elsewhere. */
  readonly selector: Labels & { readonly matchLabels?: Labels }
  readonly podSelector: { readonly matchLabels: Labels }
  readonly ports: readonly { readonly name: string; readonly port: number }[]
  readonly rules: readonly { readonly host: string }[]
  readonly tls?: readonly { readonly secretName: string; readonly hosts: readonly string[] }[]
  readonly hostnames: readonly string[]
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string
      readonly expr: string
      readonly annotations: Readonly<Record<string, string>>
    }[]
  }[]
}

export interface PodSpec {
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes: readonly ({ readonly name: string } & Readonly<Record<string, unknown>>)[]
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly securityContext?: Readonly<Record<string, unknown>>
  readonly resources?: { readonly requests?: object; readonly limits?: object }
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[]
  readonly [probe: `${string}Probe`]: unknown
}

export interface RenderOptions {
  /** Chart folder; default: ours. */
  readonly folder?: string
  readonly apis?: readonly string[]
  /** `--set` arguments: `image.tag=1.2.3`. */
  readonly set?: readonly string[]
}

export type Rendered =
  | { readonly kind: 'ok'; readonly text: string; readonly objects: readonly KubeObject[] }
  | { readonly kind: 'failed'; readonly message: string }

/** `helm template` of one values file. */
export async function render(valuesFile: string, options: RenderOptions = {}): Promise<Rendered> {
  const { folder = chart, apis = optionalApis, set = [] } = options
  const args: ['template', ...string[]] = ['template', 'rel', folder, '--namespace', 'team', '--values', valuesFile]
  for (const api of apis) args.push('--api-versions', api)
  for (const value of set) args.push('--set', value)
  const { code, stdout, stderr } = await helm(args)
  if (code !== 0) return { kind: 'failed', message: stderr }
  return {
    kind: 'ok',
    text: stdout,
    objects: parseAllDocuments(stdout)
      .map((each) => each.toJS() as KubeObject)
      .filter(Boolean),
  }
}

export async function renderObjects(valuesFile: string, options: RenderOptions = {}): Promise<readonly KubeObject[]> {
  const rendered = await render(valuesFile, options)
  if (rendered.kind === 'failed') throw new Error(`${valuesFile}: ${rendered.message}`)
  return rendered.objects
}

/** `helm template` or `helm lint`. */
export async function helm(
  args: readonly ['template' | 'lint', ...string[]],
): Promise<{ code: number; stdout: string; stderr: string }> {
  return runTool('helm', [...args, '--kube-version', kubeVersion])
}

/** Exit code and output; rejects only when the program cannot be started. */
export async function runTool(
  name: string,
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await run(findTool(name) ?? name, [...args], { maxBuffer: 64 << 20 })) }
  } catch (error) {
    const failed = error as { code?: unknown; stdout?: string; stderr?: string }
    if (typeof failed.code !== 'number') throw error
    return { code: failed.code, stdout: failed.stdout ?? '', stderr: failed.stderr ?? '' }
  }
}

export interface ValuesSet {
  readonly name: string
  readonly file: string
  readonly values: Readonly<Record<string, unknown>>
  /** `# needs: …` on the first line: an API without which the set must fail. */
  readonly needs?: string
  /** `# expects: …` on the first line: the message with which a bad set fails. */
  readonly expects?: string
}

/** The value files in `ci/` or `ci/bad/`. */
export function valuesSets(folder: 'ci' | 'ci/bad'): readonly ValuesSet[] {
  return readdirSync(join(chart, folder))
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => {
      const file = join(chart, folder, name)
      const text = readFileSync(file, 'utf8')
      const [, word, rest = ''] = /^# (needs|expects): (.*)$/m.exec(text.split('\n', 1)[0] ?? '') ?? []
      return {
        name: name.replace(/(?:-values)?\.yaml$/, ''),
        file,
        values: parse(text) as ValuesSet['values'],
        ...(word !== undefined && { [word]: rest }),
      }
    })
}

export function kinds(objects: readonly KubeObject[]): readonly string[] {
  return objects.map(({ kind }) => kind)
}

export function find(objects: readonly KubeObject[], kind: string, suffix = ''): KubeObject {
  const found = objects.find((each) => each.kind === kind && each.metadata.name.endsWith(suffix))
  if (found === undefined) throw new Error(`no ${kind} …${suffix} among ${kinds(objects).join(', ')}`)
  return found
}

/** Pod specs of the Deployment and of the test pod, with the labels that the pods get. */
export function pods(
  objects: readonly KubeObject[],
): readonly { readonly name: string; readonly labels: Labels; readonly spec: PodSpec }[] {
  return objects.flatMap(({ kind, metadata, spec }) => {
    if (kind === 'Deployment')
      return { name: 'deployment', labels: spec.template.metadata.labels, spec: spec.template.spec }
    // A Pod's spec is the pod's.
    return kind === 'Pod' ? { name: 'test', labels: metadata.labels, spec: spec as unknown as PodSpec } : []
  })
}

export function configYaml(objects: readonly KubeObject[]): string {
  return find(objects, 'Secret', '-config').stringData?.['config.yaml'] ?? ''
}

/** Names of the series in a PromQL expression, histogram suffixes removed. */
export function metricNames(expression: string): readonly string[] {
  return [...expression.matchAll(/\bpostern_[a-z0-9_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''))
}

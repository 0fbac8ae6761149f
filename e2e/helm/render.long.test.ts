import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  chart,
  configYaml,
  find,
  findTool,
  helm,
  type KubeObject,
  kinds,
  needing,
  optionalApis,
  pods,
  render,
  renderObjects,
  valuesSets,
} from './chart.ts'

const sets = valuesSets('ci')
const setNamed = (name: string): string => join(chart, 'ci', `${name}-values.yaml`)
const scratch = mkdtempSync(join(tmpdir(), 'postern-chart-'))
afterAll(() => rmSync(scratch, { recursive: true }))

describe.skipIf(findTool('helm') === undefined)(needing('helm', 'every good set of values'), () => {
  describe.each(sets)('$name', ({ name, file, needs, values }) => {
    test('passes helm lint --strict', async () => {
      const { code, stdout, stderr } = await helm(['lint', '--strict', chart, '--values', file])
      expect(stdout).toContain('0 chart(s) failed')
      expect(stdout).not.toMatch(/\[(WARNING|ERROR)\]/)
      // Under lint Helm only reports our guards; lint cannot be told which APIs a cluster serves.
      expect(stderr.includes('these values cannot work')).toBe(needs !== undefined)
      expect(code).toBe(0)
    })

    test('renders without the optional APIs, or says which one it needs', async () => {
      const rendered = await render(file, { apis: [] })
      if (needs === undefined) expect(rendered.kind).toBe('ok')
      else
        expect(rendered).toMatchObject({ kind: 'failed', message: expect.stringContaining(`does not serve ${needs}`) })
    })

    test('renders the same objects twice', async () => {
      const [first, second] = await Promise.all([renderObjects(file), renderObjects(file)])
      // What is invented differs without a cluster to look it up in; everything else must not.
      const without = (objects: readonly KubeObject[]) =>
        objects.filter(({ metadata }) => !(name === 'generated-secret' && metadata.name.endsWith('-secrets')))
      expect(without(second)).toEqual(without(first))
    })

    test('hardens every pod and every container', async () => {
      for (const { spec } of pods(await renderObjects(file))) {
        expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false })
        expect(spec.securityContext).toMatchObject({
          runAsNonRoot: true,
          runAsUser: 65532,
          seccompProfile: { type: 'RuntimeDefault' },
        })
        for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
          expect(container.securityContext, container.name).toMatchObject({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          })
          expect(container.resources?.requests, container.name).toBeDefined()
          expect(container.resources?.limits, container.name).toHaveProperty('memory')
          expect(container.image, container.name).not.toMatch(/:latest$|^[^:@]+$/)
          for (const mount of container.volumeMounts ?? []) {
            expect(mount.subPath, `${mount.mountPath} must follow updates`).toBeUndefined()
            expect(spec.volumes.map((volume) => volume.name)).toContain(mount.name)
          }
        }
      }
    })

    test('selects its own pods, and only by labels that never change', async () => {
      const objects = await renderObjects(file)
      const deployment = find(objects, 'Deployment')
      const podLabels = deployment.spec.template.metadata.labels
      const stable = ['app.kubernetes.io/component', 'app.kubernetes.io/instance', 'app.kubernetes.io/name']
      const selectors = objects.flatMap(({ kind, spec }) => {
        if (kind === 'Service') return [spec.selector]
        if (kind === 'Deployment') return [spec.selector.matchLabels ?? {}]
        return kind === 'NetworkPolicy' ? [spec.podSelector.matchLabels] : []
      })
      expect(selectors.length).toBeGreaterThanOrEqual(3)
      for (const selector of selectors) {
        expect(Object.keys(selector).sort()).toEqual(stable)
        expect(podLabels).toMatchObject(selector)
      }
      const testPod = pods(objects).find((pod) => pod.name === 'test')
      expect(testPod?.labels, 'the test pod must get no traffic').not.toMatchObject(
        find(objects, 'Service').spec.selector,
      )
    })

    test('keeps secrets out of arguments, environment, ConfigMaps and annotations', async () => {
      const secrets = (values['secrets'] ?? {}) as Record<string, unknown>
      const canaries = ['sharedSecret', 'idpClientSecret', 'oktaApiToken']
        .map((key) => secrets[key])
        .filter((value) => typeof value === 'string')
      const objects = await renderObjects(file)
      for (const { spec } of pods(objects)) {
        for (const { env = [] } of spec.containers) {
          for (const variable of env) {
            if (/SECRET|TOKEN|SIGNING|CERTIFICATE/.test(variable.name)) {
              expect(variable.name).toMatch(/_FILE$/)
              expect(variable.value).toMatch(/^\/run\/secrets\/postern/)
            }
          }
        }
      }
      const open = JSON.stringify(objects.filter(({ kind }) => kind !== 'Secret'))
      for (const canary of canaries) {
        expect(open).not.toContain(canary)
        expect(open).not.toContain(Buffer.from(canary).toString('base64'))
        expect(configYaml(objects)).not.toContain(canary)
      }
      if (name === 'explicit-secrets') expect(canaries).toHaveLength(3)
    })

    test('puts every object into the release namespace with the common labels', async () => {
      const namespace = name === 'extras' ? 'access' : 'team'
      for (const { kind, metadata } of await renderObjects(file)) {
        if (metadata.name.endsWith('-more')) continue // an extra object, as the user wrote it
        expect(metadata.namespace, kind).toBe(namespace)
        expect(metadata.labels, kind).toMatchObject({
          'app.kubernetes.io/part-of': 'postern',
          'app.kubernetes.io/managed-by': 'Helm',
        })
      }
    })

    test('gives kubelet the three probes on the health port', async () => {
      const [postern] = find(await renderObjects(file), 'Deployment').spec.template.spec.containers
      expect(postern?.ports?.map((port) => port.name)).toContain('health')
      for (const [probe, path] of [
        ['startup', '/startupz'],
        ['liveness', '/livez'],
        ['readiness', '/readyz'],
      ] as const) {
        expect(postern?.[`${probe}Probe`]).toMatchObject({ httpGet: { path, port: 'health' } })
      }
    })
  })
})

describe.skipIf(findTool('helm') === undefined)(needing('helm', 'what a set of values becomes'), () => {
  const podTemplate = async (file: string, set: readonly string[]): Promise<unknown> =>
    find(await renderObjects(file, { set }), 'Deployment').spec.template

  test('an edited route changes the configuration and not the pods', async () => {
    const set = [
      'routes[0].from=https://other.example.com',
      'routes[0].to=http://other.apps.svc',
      'routes[0].allowed_groups={Sales}',
    ]
    const before = await renderObjects(setNamed('minimal-gitops'))
    const after = await renderObjects(setNamed('minimal-gitops'), { set })
    expect(configYaml(after)).not.toBe(configYaml(before))
    expect(find(after, 'Deployment')).toEqual(find(before, 'Deployment'))
  })

  test('with configReload: restart an edited route restarts the pods', async () => {
    const edited = await podTemplate(setNamed('extras'), ['routes[0].name=intranet'])
    expect(edited).not.toEqual(await podTemplate(setNamed('extras'), []))
  })

  test('a key that a running process takes over does not restart the pods', async () => {
    const edited = await podTemplate(setNamed('minimal-gitops'), ['config.groups_claim=roles'])
    expect(edited).toEqual(await podTemplate(setNamed('minimal-gitops'), []))
  })

  test('a secret of the chart that a running process takes over does not restart the pods; the way to the store does', async () => {
    const rendered = (...set: string[]) => podTemplate(setNamed('postgres-autoscaling'), set)
    const [before, after] = ['secrets.oktaApiToken=00other', `secrets.sharedSecret=${'b'.repeat(40)}`]
    const now = await rendered()
    expect([await rendered(before), await rendered(after)]).toEqual([now, now])
    expect(await rendered('secrets.storeUrl=postgres://postern@other.example.com/postern')).not.toEqual(now)
    const restarting = (set: string) => rendered('configReload=restart', set)
    expect(await restarting(after)).not.toEqual(await restarting(before))
  })

  test('a key that a running process cannot take over restarts the pods', async () => {
    const edited = await podTemplate(setNamed('minimal-gitops'), ['config.idp_timeout=7s'])
    expect(edited).not.toEqual(await podTemplate(setNamed('minimal-gitops'), []))
  })

  describe('of what is read once, but for some keys inside', () => {
    const written = [
      'config.directory.scim_token=scim-before',
      'config.directory.okta.event_hook_secret_file=/run/before',
      'config.directory.okta.scopes={okta.users.read}',
      'config.directory.max_staleness=2h',
      'config.shared_signals.issuer=https://signals.example.com',
      'config.shared_signals.authorization=before',
      'config.identity_providers.partners.url=https://partners.example.com',
      'config.identity_providers.partners.client_secret=before',
      'config.identity_providers.partners.directory.okta.api_token=before',
    ]
    const changed = async (...set: readonly string[]): Promise<boolean> => {
      const file = setNamed('minimal-gitops')
      const [before, after] = [await podTemplate(file, written), await podTemplate(file, [...written, ...set])]
      return JSON.stringify(before) !== JSON.stringify(after)
    }

    test.each([
      'config.directory.scim_token=after',
      'config.directory.okta.event_hook_secret_file=/run/after',
      'config.directory.okta.scopes={okta.groups.read}',
      'config.shared_signals.authorization=after',
      'config.identity_providers.partners.client_secret=after',
      'config.identity_providers.partners.client_auth=post',
      'config.identity_providers.partners.directory.okta.api_token=after',
      'config.idp_client_auth=post',
    ])('%s is taken over', async (set) => {
      expect(await changed(set)).toBe(false)
    })

    test.each([
      'config.directory.max_staleness=3h',
      'config.directory.okta.private_key_file=/run/new',
      'config.identity_providers.partners.directory.scim_token=new',
      'config.shared_signals.issuer=https://others.example.com',
      'config.identity_providers.partners.directory.max_staleness=3h',
      'config.identity_providers.others.url=https://others.example.com',
    ])('%s restarts the pods', async (set) => {
      expect(await changed(set)).toBe(true)
    })
  })

  test('a new version of the chart alone does not change the pods', async () => {
    const copy = join(scratch, 'newer')
    cpSync(chart, copy, { recursive: true })
    const newer = readFileSync(join(copy, 'Chart.yaml'), 'utf8').replace(/^version: .*$/m, 'version: 9.9.9')
    writeFileSync(join(copy, 'Chart.yaml'), newer)
    const after = await renderObjects(setNamed('minimal-gitops'), { folder: copy })
    expect(after[0]?.metadata.labels['helm.sh/chart']).toBe('postern-9.9.9')
    expect(find(after, 'Deployment').spec).toEqual(
      find(await renderObjects(setNamed('minimal-gitops')), 'Deployment').spec,
    )
  })

  test('explicit secrets become one Secret, and a new value is for the pods that run', async () => {
    const objects = await renderObjects(setNamed('explicit-secrets'))
    const { data = {} } = find(objects, 'Secret', '-secrets')
    const plain = Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    )
    expect(plain).toEqual({
      'shared-secret': 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      'idp-client-secret': 'canary-client-secret-7c1f',
      'okta-api-token': '00canary-token-9d3e',
    })
    const rotated = await podTemplate(setNamed('explicit-secrets'), ['secrets.oktaApiToken=00other'])
    expect(rotated).toEqual(find(objects, 'Deployment').spec.template)
  })

  test('a generated shared secret is 32 random bytes and is kept by Helm', async () => {
    const secret = find(await renderObjects(setNamed('generated-secret')), 'Secret', '-secrets')
    expect(secret.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
    const text = Buffer.from(secret.data?.['shared-secret'] ?? '', 'base64').toString()
    expect(Buffer.from(text, 'base64')).toHaveLength(32)
  })

  test('an existing Secret is mounted by its own key names, and none is made', async () => {
    const objects = await renderObjects(setNamed('ingress-cloud-lb'))
    expect(objects.filter(({ kind, metadata }) => kind === 'Secret' && metadata.name.endsWith('-secrets'))).toEqual([])
    const { volumes, containers } = find(objects, 'Deployment').spec.template.spec
    expect(volumes.find(({ name }) => name === 'secrets')).toMatchObject({
      secret: {
        secretName: 'postern',
        defaultMode: 0o440,
        items: [
          { key: 'shared', path: 'shared' },
          { key: 'token', path: 'token' },
        ],
      },
    })
    const files = containers[0]?.env?.filter(({ name }) => name.endsWith('_FILE'))
    expect(files).toEqual([
      { name: 'SHARED_SECRET_FILE', value: '/run/secrets/postern/shared' },
      { name: 'DIRECTORY_OKTA_API_TOKEN_FILE', value: '/run/secrets/postern/token' },
    ])
  })

  test('the Ingress carries the host of the sign-in service and each route host once, with one certificate', async () => {
    const ingress = find(await renderObjects(setNamed('ingress-cert-manager')), 'Ingress')
    const hosts = ['authenticate.example.com', 'app.example.com', '*.preview.example.com']
    expect(ingress.spec.rules.map(({ host }) => host)).toEqual(hosts)
    expect(ingress.spec.tls).toEqual([{ secretName: 'rel-postern-tls', hosts }])
    expect(ingress.metadata.annotations).toMatchObject({ 'cert-manager.io/cluster-issuer': 'letsencrypt' })
  })

  test('the HTTPRoute carries the same hosts', async () => {
    const route = find(await renderObjects(setNamed('httproute')), 'HTTPRoute')
    expect(route.spec.hostnames).toEqual(['authenticate.example.com', 'app.example.com'])
  })

  test('with TLS in the pod the way in is 443 → 8443, otherwise 80 → 8080', async () => {
    for (const [set, name, port, containerPort] of [
      ['pod-tls-load-balancer', 'https', 443, 8443],
      ['minimal-gitops', 'http', 80, 8080],
    ] as const) {
      const objects = await renderObjects(setNamed(set))
      expect(find(objects, 'Service').spec.ports).toMatchObject([{ name, port }])
      expect(find(objects, 'Deployment').spec.template.spec.containers[0]?.ports?.[0]).toEqual({ name, containerPort })
    }
  })

  test('metrics and health are not on the service that may face the internet', async () => {
    const objects = await renderObjects(setNamed('pod-tls-load-balancer'))
    expect(find(objects, 'Service').spec.ports.map(({ name }) => name)).toEqual(['https'])
    expect(find(objects, 'Service', '-metrics').spec.ports.map(({ name }) => name)).toEqual(['health', 'metrics'])
  })

  test('two pods never write to one volume', async () => {
    expect(find(await renderObjects(setNamed('embedded-volume')), 'Deployment').spec.strategy).toEqual({
      type: 'Recreate',
    })
    expect(kinds(await renderObjects(setNamed('embedded-volume')))).toContain('PersistentVolumeClaim')
    expect(kinds(await renderObjects(setNamed('minimal-gitops')))).not.toContain('PersistentVolumeClaim')
  })

  test('skipApiCheck renders for a cluster that the renderer cannot ask', async () => {
    const route = await render(setNamed('httproute'), { apis: [], set: ['httpRoute.skipApiCheck=true'] })
    expect(route.kind).toBe('ok')
    const monitor = await render(setNamed('monitoring'), { apis: [], set: ['metrics.skipApiCheck=true'] })
    expect(monitor.kind).toBe('ok')
  })

  test('with a store that replicas share: autoscaler, disruption budget and a soft spread', async () => {
    const objects = await renderObjects(setNamed('postgres-autoscaling'))
    expect(kinds(objects)).toEqual(expect.arrayContaining(['HorizontalPodAutoscaler', 'PodDisruptionBudget']))
    const deployment = find(objects, 'Deployment')
    expect(deployment.spec).not.toHaveProperty('replicas')
    expect(deployment.spec.template.spec).toMatchObject({
      topologySpreadConstraints: [{ whenUnsatisfiable: 'ScheduleAnyway' }],
    })
  })

  test('replicas on a store outside are replaced one by one, and have its address from a file', async () => {
    const objects = await renderObjects(setNamed('redis-replicas'))
    const { spec } = find(objects, 'Deployment')
    expect(spec).toMatchObject({
      replicas: 3,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    })
    expect(kinds(objects)).toContain('PodDisruptionBudget')
    const [postern] = spec.template.spec.containers
    expect(postern?.env).toEqual(
      expect.arrayContaining([
        { name: 'STORAGE_TYPE', value: 'redis' },
        { name: 'STORAGE_PREFIX', value: 'corp' },
        { name: 'STORAGE_URL_FILE', value: '/run/secrets/postern/store-url' },
        { name: 'STORAGE_CA_FILE', value: '/run/secrets/postern/store-ca' },
      ]),
    )
    expect(JSON.stringify(spec)).not.toContain('/var/lib/postern')
  })

  test('proxies are given no secret of the provider', async () => {
    const [postern] = find(await renderObjects(setNamed('proxies')), 'Deployment').spec.template.spec.containers
    const names = postern?.env?.map(({ name }) => name).filter((name) => name.endsWith('_FILE'))
    expect(names).toEqual(['SHARED_SECRET_FILE', 'STORAGE_URL_FILE'])
  })

  test('NOTES name the redirect URI to register, the hosts and the next command', async () => {
    // Only `helm install` prints NOTES, and Helm 3 wants a cluster for that: a ConfigMap shows them to `helm template`.
    const copy = join(scratch, 'notes')
    cpSync(chart, copy, { recursive: true })
    const shown = '{{ include (print $.Template.BasePath "/NOTES.txt") . | toJson }}'
    writeFileSync(
      join(copy, 'templates/notes.yaml'),
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata: {notes: ${shown}}\n`,
    )
    const objects = await renderObjects(setNamed('ingress-cert-manager'), { folder: copy })
    const notes = objects.find(({ metadata }) => metadata.name === 'notes')?.data?.['notes'] ?? ''
    expect(notes).toContain('\n     https://authenticate.example.com/oauth2/callback\n')
    expect(notes).toContain('\n     *.preview.example.com\n')
    expect(notes).toContain('helm test --namespace team rel --logs')
    expect(notes).toContain('it must hold: shared-secret, idp-client-secret, okta-api-token.')
  })
})

describe.skipIf(findTool('helm') === undefined)(needing('helm', 'every bad set of values'), () => {
  test.each(valuesSets('ci/bad'))(
    '$name fails with the value and the remedy',
    async ({ file, expects = 'no "# expects:" line' }) => {
      const rendered = await render(file, { apis: optionalApis })
      expect(rendered).toMatchObject({ kind: 'failed', message: expect.stringContaining(expects) })
    },
  )

  test('all problems are told at once', async () => {
    const rendered = await render(join(chart, 'values.yaml'), { set: ['replicaCount=2'] })
    expect(rendered.kind === 'failed' && rendered.message.match(/^- /gm)).toHaveLength(5)
  })
})

test('the chart has the version of the program', () => {
  const { version, appVersion } = parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')) as {
    version: string
    appVersion: string
  }
  const { version: program } = JSON.parse(readFileSync(join(chart, '../../package.json'), 'utf8')) as {
    version: string
  }
  expect({ version, appVersion }).toEqual({ version: program, appVersion: program })
})

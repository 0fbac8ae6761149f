import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { globalKeys } from '../../src/config/keys.ts'
import { formatIssue, loadConfig } from '../../src/config/load.ts'
import {
  chart,
  configYaml,
  find,
  findTool,
  needing,
  renderObjects,
  render,
  root,
  runTool,
  valuesSets,
} from './chart.ts'

const sets = valuesSets('ci')
const scratch = mkdtempSync(join(tmpdir(), 'postern-chart-'))
afterAll(() => rmSync(scratch, { recursive: true }))

describe('values.schema.json', () => {
  const file = join(chart, 'values.schema.json')
  const schema = JSON.parse(readFileSync(file, 'utf8')) as { properties: Record<string, unknown> }
  const validate = new Ajv({ strict: true, allowUnionTypes: true, keywords: ['x-restart'] }).compile(schema)

  test('and files/restart-keys.json are what scripts/chart-schema.mjs makes of config.schema.json', () => {
    const fresh = JSON.parse(
      execFileSync(process.execPath, ['scripts/chart-schema.mjs', '--print'], { cwd: root, encoding: 'utf8' }),
    ) as Record<string, string>
    const stale = Object.entries(fresh).filter(([name, text]) => readFileSync(join(chart, name), 'utf8') !== text)
    expect(
      stale.map(([name]) => name),
      'stale: run `node scripts/chart-schema.mjs`',
    ).toEqual([])
    expect(Object.keys(fresh)).toEqual(['values.schema.json', 'files/restart-keys.json'])
  })

  test('restarts pods for the keys that the program reads once, and for no other', () => {
    const { keys, secrets, live } = JSON.parse(readFileSync(join(chart, 'files/restart-keys.json'), 'utf8')) as Record<
      'keys' | 'secrets' | 'live',
      readonly string[]
    >
    const taken = [...secrets, ...live]
    const restarts = globalKeys
      .filter(({ path }) => keys.includes(path[0] ?? '') && !taken.includes(path.join('.').replace(/_file$/, '')))
      .map(({ path }) => path.join('.'))
    expect(restarts).toEqual(globalKeys.filter(({ restart }) => restart).map(({ path }) => path.join('.')))
  })

  test('knows every value of values.yaml, and values.yaml every one of the schema', () => {
    const values = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as object
    expect(
      Object.keys(schema.properties)
        .filter((key) => key !== 'global')
        .sort(),
    ).toEqual(Object.keys(values).sort())
    expect(validate(values), JSON.stringify(validate.errors)).toBe(true)
  })

  test.each(sets)('accepts $name', ({ values }) => {
    expect(validate(values), JSON.stringify(validate.errors)).toBe(true)
  })
})

describe.skipIf(findTool('helm') === undefined)(needing('helm', 'the rendered configuration'), () => {
  const secrets: Record<string, string> = {
    'shared-secret': 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    shared: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    'idp-client-secret': 'client-secret',
    'okta-api-token': '00token',
    token: '00token',
  }
  const STORE_URLS: Readonly<Record<string, string>> = {
    redis: 'rediss://postern:password@valkey.example.com:6379',
    postgres: 'postgres://postern:password@db.example.com:5432/postern?sslmode=verify-full',
  }
  const pem = (type: 'key' | 'crt'): string => join(scratch, `tls.${type}`)
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=authenticate.example.com',
      '-keyout',
      pem('key'),
      '-out',
      pem('crt'),
    ],
    { stdio: 'ignore' },
  )
  secrets['signing-key'] = readFileSync(pem('key'), 'utf8')
  secrets['store-ca'] = readFileSync(pem('crt'), 'utf8')
  for (const [name, value] of Object.entries(secrets)) writeFileSync(join(scratch, name), value)

  test.each(sets.filter(({ name }) => name !== 'existing-config'))(
    '$name is accepted by the program, with the environment of its pod',
    async ({ name, file }) => {
      const objects = await renderObjects(file)
      const config = join(scratch, `${name}.yaml`)
      writeFileSync(config, configYaml(objects))
      const [postern] = find(objects, 'Deployment').spec.template.spec.containers
      const storage = postern?.env?.find(({ name }) => name === 'STORAGE_TYPE')?.value ?? ''
      writeFileSync(join(scratch, 'store-url'), STORE_URLS[storage] ?? '')
      const env = Object.fromEntries(
        postern?.env?.map(({ name, value = '' }) => [
          name,
          value.replace(/^\/run\/secrets\/postern(-tls)?\//, `${scratch}/`),
        ]) ?? [],
      )
      const loaded = await loadConfig(config, env)
      const said = (loaded.kind === 'ok' ? loaded.warnings : loaded.issues).map(formatIssue)
      if (name === 'memory-oidc') expect(said).toEqual([expect.stringContaining('groups_claim: warning: ')])
      else expect(said).toEqual([])
      expect(loaded.kind).toBe('ok')
      if (loaded.kind === 'ok') {
        expect(loaded.config.fixed.listen).toMatchObject({ port: name === 'pod-tls-load-balancer' ? 8443 : 8080 })
        expect(loaded.config.fixed.storage.kind).toBe(storage)
      }
    },
  )

  test('every variable that the chart sets is a key of the program', async () => {
    const known = new Set(globalKeys.map(({ env }) => env))
    for (const { file } of sets) {
      const [postern] = find(await renderObjects(file), 'Deployment').spec.template.spec.containers
      const ours = postern?.env?.map(({ name }) => name).filter((name) => !/^(NODE_|TZ$)/.test(name)) ?? []
      expect(ours.filter((name) => !known.has(name))).toEqual([])
    }
  })
})

describe.skipIf(findTool('helm') === undefined || findTool('kubeconform') === undefined)(
  needing('kubeconform', 'against the API schemas'),
  () => {
    const schemas = join(root, 'e2e/helm/schemas/{{.ResourceKind}}{{.KindSuffix}}.json')

    test('every set is valid, with no kind left unchecked', async () => {
      const files = await Promise.all(
        sets.map(async ({ name, file }) => {
          const rendered = await render(file)
          if (rendered.kind === 'failed') throw new Error(rendered.message)
          writeFileSync(join(scratch, `${name}.objects.yaml`), rendered.text)
          return join(scratch, `${name}.objects.yaml`)
        }),
      )
      const { code, stdout } = await runTool('kubeconform', [
        '-strict',
        '-output',
        'json',
        '-summary',
        '-schema-location',
        schemas,
        ...files,
      ])
      const { resources, summary } = JSON.parse(stdout) as { resources: unknown; summary: Record<string, number> }
      expect(resources ?? []).toEqual([])
      expect(summary).toMatchObject({ invalid: 0, errors: 0, skipped: 0 })
      expect(summary['valid']).toBeGreaterThan(5 * sets.length)
      expect(code).toBe(0)
    })

    test('a misspelt field is found', async () => {
      const rendered = await render(join(chart, 'ci/minimal-gitops-values.yaml'))
      const text =
        rendered.kind === 'ok' ? rendered.text.replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem') : ''
      writeFileSync(join(scratch, 'misspelt.yaml'), text)
      const { code, stdout } = await runTool('kubeconform', [
        '-strict',
        '-schema-location',
        schemas,
        join(scratch, 'misspelt.yaml'),
      ])
      expect(stdout).toContain("additional properties 'readOnlyRootFileSystem' not allowed")
      expect(code).toBe(1)
    })
  },
)

describe.skipIf(findTool('helm') === undefined || findTool('kube-linter') === undefined)(
  needing('kube-linter', 'against best practice'),
  () => {
    test.each(sets.filter(({ name }) => name !== 'extras'))('$name has nothing to report', async ({ name, file }) => {
      const rendered = await render(file)
      const objects = join(scratch, `${name}.lint.yaml`)
      writeFileSync(objects, rendered.kind === 'ok' ? rendered.text : '')
      const { code, stdout, stderr } = await runTool('kube-linter', [
        'lint',
        '--config',
        join(root, 'e2e/helm/kube-linter.yaml'),
        objects,
      ])
      expect(stdout + stderr).toContain('No lint errors found')
      expect(code).toBe(0)
    })
  },
)

test('the vendored schemas name their origin and licence', () => {
  expect(existsSync(join(root, 'e2e/helm/schemas/NOTICE'))).toBe(true)
})

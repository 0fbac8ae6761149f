/** The files that a forge, Docker Compose and people who come by read: they are well formed and point at what exists. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import { findTool, needing } from '../helm/chart.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const yaml = (file: string): unknown => parse(read(file), { strict: true, uniqueKeys: true })

interface Workflow {
  readonly name: string
  readonly on: object
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly 'runs-on': string
        readonly 'timeout-minutes': number
        readonly needs?: string
        readonly steps: readonly { readonly uses?: string; readonly run?: string }[]
      }
    >
  >
}

describe('workflows', () => {
  const workflows = readdirSync(join(root, '.github/workflows'))

  test.each(workflows)('%s may only read unless a job says more, ends in time, and runs what exists', (file) => {
    const { name, on, permissions, jobs } = yaml(`.github/workflows/${file}`) as Workflow
    expect(name).toBe(file.replace('.yml', ''))
    expect(Object.keys(on).length).toBeGreaterThan(0)
    expect(permissions).toEqual({ contents: 'read' })
    for (const [id, job] of Object.entries(jobs)) {
      expect(job['timeout-minutes'], id).toBeLessThanOrEqual(60)
      expect(job['runs-on'], id).toMatch(/^ubuntu-\d/)
      if (job.needs !== undefined) expect(jobs).toHaveProperty(job.needs)
      for (const { uses, run } of job.steps) {
        if (uses !== undefined) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/)
        for (const [, script = ''] of (run ?? '').matchAll(/(?:^|\s)((?:\.ci|scripts)\/[\w.-]+)/g)) {
          expect(existsSync(join(root, script)), script).toBe(true)
          if (!script.endsWith('.mjs')) expect(statSync(join(root, script)).mode & 0o111, script).not.toBe(0)
        }
      }
    }
  })

  test('run the same tests as everybody, on the oldest Node and on the one of the image', () => {
    for (const file of workflows)
      expect((yaml(`.github/workflows/${file}`) as Workflow).jobs['test']?.steps.map(({ run }) => run)).toContain(
        '.ci/run',
      )
    const { jobs } = yaml('.github/workflows/ci.yml') as {
      jobs: { test: { strategy: { matrix: { node: string[] } } } }
    }
    const { node } = jobs.test.strategy.matrix
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } }
    expect(engines.node).toBe(`>=${node[0]}`)
    expect(read('Dockerfile')).toContain(`nodejs${node.at(-1)}-`)
  })
})

describe('issue forms', () => {
  const forms = readdirSync(join(root, '.github/ISSUE_TEMPLATE')).filter((file) => file !== 'config.yml')

  test.each(forms)('%s is a form as GitHub reads it', (file) => {
    const form = yaml(`.github/ISSUE_TEMPLATE/${file}`) as {
      name: string
      description: string
      body: { type: string; id?: string; attributes: { label?: string; value?: string; options?: string[] } }[]
    }
    expect([form.name, form.description].every((text) => text.length > 3 && text.length < 200)).toBe(true)
    const asked = form.body.filter(({ type }) => type !== 'markdown')
    expect(asked.length).toBeGreaterThan(0)
    expect(new Set(asked.map(({ id }) => id)).size).toBe(asked.length)
    for (const { type, id, attributes } of form.body) {
      expect(['markdown', 'input', 'textarea', 'dropdown', 'checkboxes']).toContain(type)
      if (type === 'markdown') expect(attributes.value).toBeTruthy()
      else expect([id, attributes.label]).toEqual([expect.stringMatching(/^[\w-]+$/), expect.any(String)])
      if (type === 'dropdown') expect(new Set(attributes.options).size).toBeGreaterThan(1)
    }
  })

  test('nobody is led to report a vulnerability in public', () => {
    const { blank_issues_enabled, contact_links } = yaml('.github/ISSUE_TEMPLATE/config.yml') as {
      blank_issues_enabled: boolean
      contact_links: { name: string; url: string }[]
    }
    expect([blank_issues_enabled, contact_links.map(({ name }) => name)]).toEqual([false, ['A vulnerability']])
    expect(read('SECURITY.md')).toContain('Report a vulnerability')
  })
})

describe('compose.yaml', () => {
  interface Compose {
    readonly services: Readonly<
      Record<string, { readonly ports?: unknown; readonly environment?: object; readonly [key: string]: unknown }>
    >
    readonly secrets: Readonly<Record<string, unknown>>
  }
  const { services, secrets } = yaml('compose.yaml') as Compose

  test('its configuration starts, with the secrets that it mounts', () => {
    const env = services['postern']?.environment as Readonly<Record<string, string>>
    const values: Readonly<Record<string, string>> = {
      '/run/secrets/shared-secret': 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      '/run/secrets/idp-client-secret': 'the-client-secret',
      '/run/secrets/okta-api-token': '00the-token',
    }
    expect(Object.values(env).toSorted()).toEqual(
      Object.keys(secrets)
        .map((name) => `/run/secrets/${name}`)
        .toSorted(),
    )
    const loaded = parseConfig(read('examples/compose/config.yaml'), 'config.yaml', env, (path) => values[path] ?? '')
    const issues = loaded.kind === 'ok' ? loaded.warnings : loaded.issues
    expect([loaded.kind, issues.map(formatIssue)]).toEqual(['ok', []])
  })

  test('only Postern can be reached from outside, with no right that it does not need', () => {
    expect(Object.entries(services).flatMap(([name, { ports }]) => (ports === undefined ? [] : [name]))).toEqual([
      'postern',
    ])
    expect(services['postern']).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
    expect(read('examples/compose/.gitignore')).toBe('secrets/\n')
  })

  test.skipIf(findTool('compose-go') === undefined)(needing('compose-go', "Docker's own reader takes it"), () => {
    const text = execFileSync(findTool('compose-go') ?? '', ['-format', 'json', 'compose.yaml'], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, COMPOSE_PROFILES: 'redis' },
    })
    const model = JSON.parse(text) as Compose
    expect(Object.keys(model.services)).toEqual(expect.arrayContaining(['app', 'postern']))
  })
})

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { globalKeys, routeKeys } from '../src/config/keys.ts'
import { formatIssue, parseConfig } from '../src/config/load.ts'
import { configJsonSchema, configSchema } from '../src/config/schema.ts'
import { ERRORS } from '../src/errors.ts'

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** All program text below a folder, by path. */
function sources(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
  return new Map(
    files.filter((file) => /\.(?:tsx?|mjs)$/.test(file)).map((file) => [folder + file, read(folder + file)]),
  )
}

test('the example of forward-auth is a configuration that starts', () => {
  const loaded = parseConfig(read('examples/forward-auth/postern.yaml'), 'postern.yaml', {}, (path) =>
    path.endsWith('shared-secret') ? 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=' : '00the-secret',
  )
  const issues = loaded.kind === 'ok' ? loaded.warnings : loaded.issues
  expect([loaded.kind, issues.map(formatIssue)]).toEqual(['ok', []])
})

describe('config.example.yaml', () => {
  const text = read('config.example.yaml')
  /** `#key:` is a key that is commented out; `# Words` are words. */
  const everything = text.replace(/^( *)#(?=[a-z_]+:)/gm, '$1')

  test('is a configuration that starts, once the secrets are in the environment', () => {
    const env = {
      SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      IDP_CLIENT_SECRET: 'the-client-secret',
      IDP_SERVICE_ACCOUNT: '00the-token',
    }
    const loaded = parseConfig(text, 'config.example.yaml', env, () => '')
    const issues = loaded.kind === 'ok' ? loaded.warnings : loaded.issues
    expect([loaded.kind, issues.map(formatIssue)]).toEqual(['ok', []])
  })

  test('has every key of the schema, and no other', () => {
    const { global, route } = keysIn(everything)
    expect(global).toEqual(globalKeys.map(({ path }) => path.join('.')).toSorted())
    expect(route).toEqual(routeKeys.map(({ path }) => path.join('.')).toSorted())
  })

  test('has values of the right shape, also where they are commented out', () => {
    const document = parseDocument(everything, { uniqueKeys: false })
    expect(document.errors).toEqual([])
    const result = configSchema.safeParse(document.toJS())
    expect(result.success ? [] : result.error.issues).toEqual([])
  })

  test('shows the defaults that the schema has', () => {
    const at = (tree: unknown, path: readonly string[]): unknown =>
      path.reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], tree)
    const [live, shown]: readonly unknown[] = [text, everything].map((each) =>
      parseDocument(each, { uniqueKeys: false }).toJS(),
    )
    const compared = globalKeys.filter(
      ({ path, default: fallback }) => fallback !== undefined && at(live, path) === undefined && !isEmpty(fallback),
    )
    expect(compared.length).toBeGreaterThan(15)
    for (const { path, default: fallback } of compared) expect([path, at(shown, path)]).toEqual([path, fallback])
  })

  test('begins with the line that editors look for', () => {
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./config.schema.json')
  })
})

test('docs/configuration.md has the keys of config.schema.json (npm run docs)', () => {
  const fresh = execFileSync(process.execPath, ['scripts/config-docs.mjs', '--print'], { cwd: root, encoding: 'utf8' })
  expect(read('docs/configuration.md')).toBe(fresh)
  const shown = [...fresh.matchAll(/^\| `([\w.]+)`.* \| (live|\*\*restart\*\*) \|/gm)].map(([, name, change]) => [
    name,
    change,
  ])
  const keys = globalKeys.filter(
    ({ path }) => !path.at(-1)?.endsWith('_file') && !['routes', 'policy'].includes(path[0] ?? ''),
  )
  for (const { path, restart } of keys) expect(shown).toContainEqual([path.join('.'), restart ? '**restart**' : 'live'])
})

test('docs/policy.md has every criterion, and its examples are what the engine is tried by (npm run docs)', () => {
  const fresh = execFileSync(process.execPath, ['scripts/policy-docs.mjs', '--print'], { cwd: root, encoding: 'utf8' })
  expect(read('docs/policy.md')).toBe(fresh)
  const criteria = [...read('src/policy/criteria.ts').matchAll(/^ {2}\['(\w+)', [a-z]\w+\],$/gm)].map(
    ([, name]) => name,
  )
  expect(criteria.length).toBeGreaterThan(20)
  const sections = [...fresh.matchAll(/^### (\w+)\n\n[^`\n]+[^#]*?^```yaml\n([^]*?)```/gm)]
  for (const name of criteria) {
    const example = sections.find(([, title]) => title === name)?.[2] ?? ''
    expect(example, name).toMatch(new RegExp(`\\b${name}\\b`))
  }
})

test('docs/metrics.md is what a Postern that runs has (npm run docs)', () => {
  const fresh = execFileSync(process.execPath, ['scripts/metrics-docs.mjs', '--print'], { cwd: root, encoding: 'utf8' })
  // What other operating systems do not have is for them to leave out.
  const rows = (page: string): string => page.replaceAll(/^\| `postern_process_.*\n/gm, '')
  expect(rows(read('docs/metrics.md'))).toBe(rows(fresh))
})

test('config.schema.json is what the schema makes (npm run docs)', () => {
  expect(JSON.parse(read('config.schema.json'))).toEqual(configJsonSchema())
})

describe('error codes', () => {
  const code = new Map([...sources('src/'), ...sources('cmd/')])
  const used = [...code]
    .filter(([path]) => path !== 'src/lib/error-table.ts')
    .flatMap(([path, text]) => [...text.matchAll(/\bERR_[A-Z]+(?:_[A-Z]+)*\b/g)].map(([name]) => ({ path, name })))

  test('each code that is used is in the table', () => {
    // Codes of Node, undici and OpenSSL look alike and are compared with, never thrown.
    const foreign = /^ERR_(?:HTTP|STREAM|SSL|TLS|SOCKET|INVALID|SERVER|UNHANDLED|MODULE|OSSL|HTTP2|ASSERTION|LOAD|PEM)_/
    const unknown = used.filter(({ name }) => !Object.hasOwn(ERRORS, name) && !foreign.test(name))
    expect(unknown).toEqual([])
  })

  test('each code of the table is used', () => {
    const names = new Set(used.map(({ name }) => name))
    expect(Object.keys(ERRORS).filter((name) => !names.has(name))).toEqual([])
  })
})

describe('docs/troubleshooting.md', () => {
  const text = read('docs/troubleshooting.md')

  test('has a section for each code, in the order of the table, that says what the table says (npm run docs)', () => {
    const sections = [...text.matchAll(/^## (ERR_\w+)\n\n> (.*)\n\n(.+)/gm)].map(([, name, quoted, own]) => [
      name,
      quoted,
      (own ?? '').length > 60,
    ])
    expect(sections).toEqual(
      Object.entries(ERRORS).map(([name, { sentence, remedy }]) => [name, `${sentence} **First:** ${remedy}`, true]),
    )
    expect(text.match(/^## /gm)).toHaveLength(sections.length)
  })

  test('lists each code with its status', () => {
    const rows = [...text.matchAll(/^\| \[(ERR_\w+)\]\(#(\w+)\) \| (\d+) \|/gm)].map(([, ...row]) => row)
    expect(rows).toEqual(Object.entries(ERRORS).map(([name, { status }]) => [name, name.toLowerCase(), String(status)]))
  })
})

describe('citations', () => {
  const documents = new Map(
    ['', 'docs/', 'docs/guides/', 'docs/reference/', 'docs/decisions/', 'helm/postern/', 'e2e/helm/schemas/']
      .flatMap((folder) => readdirSync(new URL(folder, root)).map((name) => folder + name))
      .filter((path) => path.endsWith('.md'))
      .map((path) => [path, read(path)]),
  )
  const files = new Map([
    ...['emulator/', 'test/', 'e2e/', 'bench/', 'demo/', 'scripts/', 'src/', 'cmd/'].flatMap((folder) => [
      ...sources(folder),
    ]),
    ...documents,
  ])
  /** A document beside the file that cites it, at the root, in docs or docs/reference. */
  const cited = [...files].flatMap(([file, text]) =>
    [...text.replaceAll(/\bhttps?:\S+/g, '').matchAll(/(?<![\w/*])((?:[\w.-]+\/)*[\w-]+\.md\b)(?:#([\w-]+))?/g)].map(
      ([, name = '', heading]) => {
        const places = [
          new URL(name, new URL(file, root)).href.slice(root.href.length),
          name,
          `docs/${name}`,
          `docs/reference/${name}`,
        ]
        return { file, name, heading, document: places.find((place) => documents.has(place)) }
      },
    ),
  )

  test('name documents of this repository', () => {
    expect(cited.length).toBeGreaterThan(80)
    expect(cited.filter(({ document }) => document === undefined)).toEqual([])
  })

  test('name headings that the document has', () => {
    const headings = (path: string): readonly string[] =>
      [...(documents.get(path) ?? '').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replaceAll(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      )
    const missing = cited.filter(({ heading, document = '' }) => heading && !headings(document).includes(heading))
    expect(missing).toEqual([])
  })

  test('name attack cases that attack-cases.md has', () => {
    const cases = documents.get('docs/reference/attack-cases.md') ?? ''
    const named = [...sources('test/security/').values()].flatMap((text) => [
      ...text.matchAll(/(?:test|describe)(?:\.\w+)*\([^'"]*['"]((?:[A-P]\d\d )+)/g),
    ])
    const numbers = new Set(named.flatMap(([, found = '']) => found.trim().split(' ')))
    expect(numbers.size).toBeGreaterThan(30)
    expect([...numbers].filter((number) => !cases.includes(`| ${number} |`))).toEqual([])
  })
})

/** An empty list or map is shown by an example of what could be in it. */
function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** Dotted keys of a configuration text; a key that is written twice counts once. */
function keysIn(text: string): { readonly global: readonly string[]; readonly route: readonly string[] } {
  const global = new Set<string>()
  const route = new Set<string>()
  const leaves = new Set(globalKeys.map(({ path }) => path.join('.')))
  function walk(node: unknown, prefix: string): void {
    if (!isMap(node)) return
    for (const { key, value } of node.items) {
      const name = prefix + String(isScalar(key) ? key.value : key)
      if (name === 'routes' && isSeq(value)) {
        for (const item of value.items) {
          if (isMap(item))
            for (const pair of item.items) route.add(String(isScalar(pair.key) ? pair.key.value : pair.key))
        }
      }
      if (isMap(value) && !leaves.has(name)) walk(value, `${name}.`)
      else global.add(name)
    }
  }
  walk(parseDocument(text, { uniqueKeys: false }).contents, '')
  return { global: [...global].toSorted(), route: [...route].toSorted() }
}

/** The layers and package doors of ARCHITECTURE.md, read from the import lines. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => `${folder}/${name}`)
}

interface Import {
  readonly file: string
  readonly target: string
}

const product = [...sources('src'), ...sources('cmd')]
const text = new Map(product.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
const imports: Import[] = product.flatMap((file) => importsOf(file, text.get(file) ?? ''))

function importsOf(file: string, source: string): readonly Import[] {
  return [
    ...source.matchAll(
      /(?:^|\n)(?:import|export)\s[^'"]*?from\s*'([^']+)'|import\('([^']+)'\)|(?:^|\n)import '([^']+)'|require\('([^']+)'\)/g,
    ),
  ].map((match) => {
    const target = match[1] ?? match[2] ?? match[3] ?? match[4] ?? ''
    return { file, target: target.startsWith('.') ? normalize(join(dirname(file), target)) : target }
  })
}

/** Files that import each other, directly or through others; types count. One entry a circle. */
function circles(edges: readonly Import[]): readonly (readonly string[])[] {
  const targets = new Map<string, string[]>()
  for (const { file, target } of edges) targets.set(file, [...(targets.get(file) ?? []), target])
  const reached = new Map<string, ReadonlySet<string>>()
  for (const file of targets.keys()) {
    const found = new Set<string>()
    const pending = [...(targets.get(file) ?? [])]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (found.has(next)) continue
      found.add(next)
      pending.push(...(targets.get(next) ?? []))
    }
    reached.set(file, found)
  }
  const members = [...targets.keys()].filter((file) => reached.get(file)?.has(file))
  const together = members.map((file) =>
    members.filter((other) => reached.get(file)?.has(other) && reached.get(other)?.has(file)).join(' '),
  )
  return [...new Set(together)].map((files) => files.split(' '))
}

/** Folder of layer 2 or file of the root → layer. */
function layerOf(path: string): { layer: number; folder: string } {
  if (path.startsWith('cmd/')) return { layer: 6, folder: 'cmd' }
  if (
    /^src\/(?:app|claims|credentials|generation|primary|process|rotation|sign-in|single|views|worker)\.ts$/.test(path)
  )
    return { layer: 5, folder: 'app' }
  if (/^src\/(?:okta-account|operator)\.ts$/.test(path)) return { layer: 5, folder: 'operator' }
  if (path === 'src/inspection.ts') return { layer: 5, folder: 'inspection' }
  if (path === 'src/review.ts') return { layer: 5, folder: 'review' }
  if (path === 'src/outgoing.ts') return { layer: 5, folder: 'outgoing' }
  // Vocabulary: types that every layer may use.
  if (
    path === 'src/types.ts' ||
    path.startsWith('src/http/') ||
    /^src\/(?:[a-z]+\/(?:route-|storage-)?model|policy\/verdict)\.ts$/.test(path)
  )
    return { layer: 0, folder: 'vocabulary' }
  const folder = path.split('/')[1] ?? ''
  const layers: Record<string, number> = {
    'errors.ts': 0,
    lib: 0,
    wire: 0,
    config: 1,
    policy: 1,
    routing: 1,
    migrate: 1,
    store: 2,
    session: 2,
    identity: 2,
    directory: 2,
    upstream: 2,
    certificates: 2,
    tokens: 2,
    pages: 2,
    authenticate: 3,
    proxy: 3,
    server: 4,
  }
  const layer = layers[folder]
  if (layer === undefined) throw new Error(`${path} belongs to no layer`)
  return { layer, folder }
}

/** npm package → where it may be imported: a folder (ends in `/`) or a file. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  zod: ['src/config/'],
  yaml: ['src/config/', 'src/migrate/'],
  'smol-toml': ['src/migrate/'],
  ajv: ['src/lib/json-schema.ts'],
  'acme-client': ['src/certificates/acme.ts'],
  'openid-client': ['src/identity/oidc.ts', 'src/identity/oidc/'],
  undici: ['src/lib/undici.ts', 'src/lib/outbound.ts'],
  jose: ['src/identity/', 'src/directory/okta/service-app.ts'],
  'http-proxy': ['src/upstream/tunnel.ts'],
  lmdb: ['src/store/lmdb.ts'],
  '@redis/client': ['src/store/redis/connection.ts'],
  pg: ['src/store/postgres/connection.ts'],
  pino: ['src/lib/log.ts'],
  'prom-client': ['src/server/process-metrics.ts'],
  commander: ['cmd/'],
  preact: ['src/pages/'],
  'preact-render-to-string': ['src/pages/'],
  re2js: ['src/routing/regex.ts'],
  'ipaddr.js': ['src/routing/', 'src/policy/'],
}

function layerProblem({ file, target }: Import): string | undefined {
  const from = layerOf(file)
  const to = layerOf(target)
  if (from.folder === to.folder) return undefined
  // Types only: the compiled configuration is inferred from the schema.
  if (file === 'src/config/model.ts' && target === 'src/config/schema.ts') return undefined
  const said = `${file} (layer ${from.layer}) imports ${target} (layer ${to.layer})`
  if (to.layer > from.layer) return said
  if (from.layer === 2 && to.layer === 2) return `${said}: layer 2 folders meet through the vocabulary`
  if (from.layer === 3 && to.layer === 2 && to.folder !== 'pages') return `${said}: only through the vocabulary`
  if (from.layer === 4 && to.layer > 1) return said
  if (
    from.layer === 6 &&
    ![
      'app',
      'inspection',
      'operator',
      'outgoing',
      'review',
      'server',
      'config',
      'migrate',
      'policy',
      'routing',
      'lib',
      'vocabulary',
      'errors.ts',
    ].includes(to.folder)
  )
    return said
  return undefined
}

describe('architecture', () => {
  test('there is something to look at', () => {
    expect(product.length).toBeGreaterThan(40)
    expect(imports.length).toBeGreaterThan(150)
  })

  test('imports follow the layers', () => {
    const problems = imports.filter(({ target }) => /^(src|cmd)\//.test(target)).map(layerProblem)
    expect(problems.filter(Boolean)).toEqual([])
  })

  test('no import circle', () => {
    const folders = ['src', 'cmd', 'emulator', 'demo', 'bench', 'test', 'e2e']
    const files = folders.flatMap(sources)
    expect(circles(files.flatMap((file) => importsOf(file, readFileSync(join(root, file), 'utf8'))))).toEqual([])
  })

  test('a circle is found, also one through a third file', () => {
    const edges = ['a b', 'b c', 'c a', 'c d', 'e e'].map((pair) => {
      const [file = '', target = ''] = pair.split(' ')
      return { file, target }
    })
    expect(circles(edges)).toEqual([['a', 'b', 'c'], ['e']])
  })

  test('only the judge asks the policy engine for a decision', () => {
    const askers = product.filter((file) => /import\s*\{[^}]*\bdecide\b[^}]*\}\s*from/.test(text.get(file) ?? ''))
    expect(askers).toEqual(['src/policy/judge.ts'])
  })

  test('one place renders pages', () => {
    const renderers = imports.filter(
      ({ file, target }) => target.startsWith('src/pages/') && target.endsWith('.tsx') && !file.endsWith('.tsx'),
    )
    expect([...new Set(renderers.map(({ file }) => file))]).toEqual(['src/pages/render.ts'])
  })

  test('the product imports nothing of the emulator, the demo, the tests or the benchmarks', () => {
    expect(imports.filter(({ target }) => /^(emulator|demo|test|bench|e2e)\//.test(target))).toEqual([])
  })

  test('each package has its door', () => {
    const problems = imports
      .filter(({ target }) => !/^(src|cmd)\/|^node:/.test(target))
      .filter(({ file, target }) => {
        const name = target
          .split('/')
          .slice(0, target.startsWith('@') ? 2 : 1)
          .join('/')
        return !DOORS[name]?.some((door) => (door.endsWith('/') ? file.startsWith(door) : file === door))
      })
    expect(problems).toEqual([])
  })

  test('every package with a door is a dependency, and every dependency has a door', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    expect(Object.keys(dependencies).sort()).toEqual(Object.keys(DOORS).sort())
    for (const version of Object.values(dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/)
  })

  const forbidden: readonly (readonly [what: string, pattern: RegExp, allowed: readonly string[]])[] = [
    [
      'process.env',
      /process\.env\b/,
      ['src/config/load.ts', 'src/lib/terminal.ts', 'cmd/postern/service-manager.ts', 'cmd/postern/commands/dev.ts'],
    ],
    ['Date.now()', /Date\.now\(\)/, ['src/lib/clock.ts']],
    ['new Date() of the present', /new Date\(\)/, []],
    ['console', /\bconsole\./, []],
    ['insecureHTTPParser: true', /insecureHTTPParser:\s*true/, []],
    ['any', /:\s*any\b|as any\b/, []],
    ['a skipped type check', /@ts-(ignore|nocheck|expect-error)/, []],
  ]
  test.each(forbidden)('%s stays where it belongs', (_what, pattern, allowed) => {
    const found = product.filter(
      (file) => !allowed.includes(file) && pattern.test(withoutComments(text.get(file) ?? '')),
    )
    expect(found).toEqual([])
  })
})

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|(^|[^:])\/\/.*$/gm, '$1')
}

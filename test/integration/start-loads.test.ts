/** What the built program is made of, and what of it a start runs. Counted, because a time would measure the machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openConfig } from '../support/built-program.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const program = join(root, 'dist/cmd/postern')

/** Packages that an ordinary start uses: configuration, log, command line, embedded store, sign-in, upstreams. */
const USED: ReadonlySet<string> = new Set(
  `
  zod yaml commander jose openid-client oauth4webapi preact preact-render-to-string
  pino pino-std-serializers @pinojs/redact sonic-boom atomic-sleep on-exit-leak-free
  quick-format-unescaped safe-stable-stringify thread-stream
  lmdb msgpackr msgpackr-extract ordered-binary weak-lru-cache @harperfast/extended-iterable
  node-gyp-build-optional-packages detect-libc
`
    .trim()
    .split(/\s+/),
)

/** One function that V8 saw, with how often it ran. */
interface Coverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly {
      readonly ranges: readonly [{ readonly startOffset: number; readonly count: number }]
    }[]
  }[]
}

/** The package that stands at a place of the bundle: rolldown writes the name of each file above it. */
function packagesIn(text: string): (offset: number) => string | undefined {
  const marks = [...text.matchAll(/^\/\/ (?:\.\.\/)*(?:node_modules\/((?:@[^/]+\/)?[^/\n]+)|(?:src|cmd)\/)/gm)]
  return (offset) => marks.findLast(({ index }) => index <= offset)?.[1]
}

function packagesRun(coverage: Coverage): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { url, functions } of coverage.result) {
    if (!url.startsWith('file:')) continue
    const outside = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
    if (outside !== undefined) found.add(outside)
    else {
      const packageAt = packagesIn(readFileSync(fileURLToPath(url), 'utf8'))
      for (const { ranges } of functions) {
        const name = ranges[0].count > 0 ? packageAt(ranges[0].startOffset) : undefined
        if (name !== undefined) found.add(name)
      }
    }
  }
  return found
}

describe('a start', () => {
  let folder: string
  let coverage: Coverage
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-loads-'))
    const config = join(folder, 'config.yaml')
    const storage = { type: 'embedded', path: join(folder, 'store') }
    writeFileSync(config, openConfig('http://127.0.0.1:9', { storage }))
    const child = spawn(process.execPath, [join(program, 'main.js'), 'run', '--config', config], {
      env: { ...process.env, NODE_V8_COVERAGE: join(folder, 'coverage') },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    child.stdout.on('data', (piece: Buffer) => {
      if (piece.includes('"listening"')) child.kill('SIGTERM')
    })
    expect(await ended).toEqual([0, null])
    const [report = ''] = readdirSync(join(folder, 'coverage'))
    coverage = JSON.parse(readFileSync(join(folder, 'coverage', report), 'utf8')) as Coverage
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('runs no package that it does not use', () => {
    const run = packagesRun(coverage)
    expect(run).toContain('zod')
    expect([...run].filter((name) => !USED.has(name))).toEqual([])
  })

  test('reads few files', () => {
    const files = coverage.result.filter(({ url }) => url.startsWith('file:'))
    expect(files.length).toBeGreaterThan(1)
    expect(files.length).toBeLessThan(100)
  })
})

describe('the bundle', () => {
  const parts = readdirSync(join(program, 'parts')).filter((file) => file.endsWith('.js'))

  test('keeps the names that a stack shows, has a map for each part, and one byte for each character', () => {
    const texts = parts.map((file) => readFileSync(join(program, 'parts', file), 'utf8'))
    expect(texts.some((text) => text.includes('\nfunction createRouteTable('))).toBe(true)
    // eslint-disable-next-line no-control-regex -- Beyond Latin-1 a text takes two bytes for each character.
    for (const [i, text] of texts.entries()) expect(text, parts[i]).toMatch(/^[\0-\xff]*$/)
    for (const text of texts.filter((each) => each.includes('\nfunction ')))
      expect(text).toMatch(/\n\/\/# sourceMappingURL=.+\.map\n?$/)
  })

  test('names each package in it, with its licence', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly dependencies: Readonly<Record<string, string>>
    }
    const notice = readFileSync(join(program, 'NOTICE'), 'utf8').split(/\n-{80}\n/)
    const names = notice.map(
      (text) => /^\n?(\S+) \S+ \(.*\b(?:MIT|ISC|0BSD|Apache-2\.0|BSD-3-Clause)\b.*\)$/m.exec(text)?.[1],
    )
    expect(names).not.toContain(undefined)
    // lmdb stays outside.
    expect(Object.keys(dependencies).filter((name) => !names.includes(name))).toEqual(['lmdb'])
  })
})

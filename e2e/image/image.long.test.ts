/**
 * The production image, built and run without a Docker engine: buildah builds it in chroot isolation on locally made
 * bases, and the program then runs in the image's own files, as its own user, on a read-only root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { createBrowser } from '../../test/support/browser.ts'
import { listenOn, portOf } from '../../test/support/world.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)
const IMAGE = 'localhost/postern:e2e'
const bases = { runtime: 'localhost/postern-runtime-base:24', build: 'localhost/postern-build-base:24' }

const missing = existsSync('/usr/bin/buildah')
  ? process.getuid?.() === 0
    ? undefined
    : 'needs root'
  : 'no buildah; install it with `bash scripts/ci-tools.sh`'

describe.skipIf(missing !== undefined)(`the image${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'postern-image-'))
  const storage = ['--root', join(scratch, 'storage'), '--runroot', join(scratch, 'runroot'), '--storage-driver', 'vfs']
  const buildah = async (...args: string[]): Promise<string> => {
    const done = run('nice', ['buildah', ...storage, ...args], { cwd: root, maxBuffer: 16 << 20 })
    // What a build step printed is the reason why it failed.
    const { stdout } = await done.catch((error: Error & { stdout: string }) =>
      Promise.reject(new Error(`${error.message}\n${error.stdout}`)),
    )
    return stdout.trim()
  }
  let container = ''
  /** Builds the image and what a release has beside it into a folder; gives the image's name and id. */
  let build: (out: string, ...more: readonly string[]) => Promise<string>
  let built = ''
  /** The image's files. */
  let files = ''

  beforeAll(async () => {
    const cache = (await run('npm', ['config', 'get', 'cache'])).stdout.trim()
    await run('nice', ['bash', 'e2e/image/bases.sh', bases.runtime, bases.build], {
      cwd: root,
      env: { ...process.env, BUILDAH: ['buildah', ...storage].join(' '), WORK: scratch },
    })
    const args = `--isolation chroot --pull-never --volume ${cache}:/root/.npm`
    const bud = `${args} --build-arg BUILD_IMAGE=${bases.build} --build-arg RUNTIME_IMAGE=${bases.runtime}`
    build = async (out, ...more) => {
      const env = {
        ...process.env,
        BUILDAH: ['buildah', ...storage].join(' '),
        IMAGE,
        SOURCE_URL: 'https://git.example/postern',
        SOURCE_DATE_EPOCH: '1764115200',
      }
      const done = await run('nice', ['bash', 'scripts/image.sh', out, ...bud.split(' '), ...more], {
        cwd: root,
        env,
        maxBuffer: 16 << 20,
      })
      return done.stdout.trim().split('\n').at(-1) ?? ''
    }
    built = await build(join(scratch, 'release'))
    container = await buildah('from', '--pull-never', IMAGE)
    files = await buildah('mount', container)
    // What a container runtime makes before it starts a program: mount points, names.
    mkdirSync(join(files, 'etc/postern'))
    for (const name of ['hosts', 'resolv.conf']) copyFileSync(join('/etc', name), join(files, 'etc', name))
    // Runs at the lowest priority.
  }, 600_000)

  afterAll(async () => {
    if (container !== '') await buildah('rm', container)
    rmSync(scratch, { recursive: true, force: true })
  })

  /** The program inside the image's files as user 65532: root read-only, `/tmp` and the data directory writable, as the chart mounts them. */
  function start(folders: { readonly config: string; readonly data: string }, args: readonly string[]): ChildProcess {
    const mounts = [
      'set -e; cd /',
      'mount --bind "$ROOT" "$ROOT"; mount -o remount,ro,bind "$ROOT"',
      'mount --bind /proc "$ROOT/proc"; mount --rbind /dev "$ROOT/dev"',
      'mount -t tmpfs -o size=64m,mode=1777 tmpfs "$ROOT/tmp"',
      'mount --bind "$CONFIG" "$ROOT/etc/postern"; mount -o remount,ro,bind "$ROOT/etc/postern"',
      'mount --bind "$DATA" "$ROOT/var/lib/postern"',
      'exec chroot --userspec=65532:65532 --groups=65532 "$ROOT" "$@"',
    ].join('\n')
    const program = ['/nodejs/bin/node', '--max-semi-space-size=4', '/app/dist/cmd/postern/main.js', ...args]
    return spawn('unshare', ['--mount', '--propagation', 'private', 'bash', '-c', mounts, 'image', ...program], {
      env: {
        PATH: process.env['PATH'],
        NODE_ENV: 'production',
        ROOT: files,
        CONFIG: folders.config,
        DATA: folders.data,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  const exited = (child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      let stdout = ''
      let stderr = ''
      child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
      child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
      child.on('close', (code) => resolve({ code, stdout, stderr }))
    })

  /** Folders as volumes: the configuration read-only for the program, the data its own. */
  function volumes(config: string): { readonly config: string; readonly data: string } {
    const made = mkdtempSync(join(scratch, 'volumes-'))
    chmodSync(made, 0o755)
    const folders = { config: join(made, 'config'), data: join(made, 'data') }
    for (const folder of Object.values(folders)) mkdirSync(folder)
    writeFileSync(join(folders.config, 'config.yaml'), config)
    chownSync(folders.data, 65532, 65532)
    return folders
  }

  test('has the user, command and labels of the Dockerfile', async () => {
    const { OCIv1: image } = JSON.parse(await buildah('inspect', '--type', 'image', IMAGE)) as {
      OCIv1: { config: Record<string, unknown> }
    }
    expect(image.config).toMatchObject({
      User: '65532:65532',
      WorkingDir: '/var/lib/postern',
      Entrypoint: ['/nodejs/bin/node', '--max-semi-space-size=4', '/app/dist/cmd/postern/main.js'],
      Cmd: ['run', '--config', '/etc/postern/config.yaml'],
      StopSignal: 'SIGTERM',
      ExposedPorts: { '8080/tcp': {}, '8443/tcp': {}, '9090/tcp': {}, '9901/tcp': {} },
    })
    const prefix = 'org.opencontainers.image.'
    const labels = Object.entries(image.config['Labels'] as Record<string, string>)
    const label = new Map(
      labels.flatMap(([name, value]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [])),
    )
    expect(Object.fromEntries(label)).toEqual({
      title: 'Postern',
      description: expect.stringContaining('Identity-aware'),
      licenses: 'Apache-2.0',
      vendor: 'The Postern authors',
      authors: 'The Postern authors',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      revision: expect.stringMatching(/^[0-9a-f]{40}(?:-dirty)?$/),
      created: '2025-11-26T00:00:00Z',
      source: 'https://git.example/postern',
      url: 'https://git.example/postern',
      documentation: 'https://git.example/postern',
      'base.name': bases.runtime,
    })
    expect(image.config['Env']).toEqual(['PATH=/nodejs/bin', 'NODE_ENV=production', 'HEALTH_CHECK_ADDR=0.0.0.0:9901'])
  })

  test('is the same, to the byte, when it is built again', async () => {
    const out = join(scratch, 'again')
    expect(await build(out, '--no-cache')).toBe(built)
    const digest = (folder: string, file: string): string =>
      createHash('sha256')
        .update(readFileSync(join(folder, file)))
        .digest('hex')
    const files = readdirSync(out).toSorted()
    expect(files).toEqual([
      expect.stringMatching(/\.cdx\.json$/),
      expect.stringMatching(/\.intoto\.json$/),
      expect.stringMatching(/\.oci\.tar$/),
    ])
    for (const file of files) expect([file, digest(out, file)]).toEqual([file, digest(join(scratch, 'release'), file)])
  }, 600_000)

  test('comes with a list of its packages, and a statement of what it was made of', async () => {
    const release = join(scratch, 'release')
    const read = (end: string): string =>
      readFileSync(join(release, readdirSync(release).find((file) => file.endsWith(end)) ?? ''), 'utf8')
    const { components } = JSON.parse(read('.cdx.json')) as { components: { name: string; version: string }[] }
    expect(components.length).toBeGreaterThan(50)
    const installed = readdirSync(join(files, 'app/node_modules'))
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) =>
        name.startsWith('@')
          ? readdirSync(join(files, 'app/node_modules', name)).map((inner) => `${name}/${inner}`)
          : [name],
      )
    const listed = new Set(components.map(({ name }) => name))
    expect(installed.filter((name) => !listed.has(name))).toEqual([])
    const { subject, predicate } = JSON.parse(read('.intoto.json')) as {
      subject: { name: string; digest: { sha256: string } }[]
      predicate: { buildDefinition: { resolvedDependencies: object[] } }
    }
    expect(subject.find(({ name }) => name === IMAGE)?.digest.sha256).toBe(built.replace(/^.*sha256:/, ''))
    expect(subject.map(({ name }) => name).toSorted()).toEqual(
      [IMAGE, ...readdirSync(release).filter((file) => !file.endsWith('.intoto.json'))].toSorted(),
    )
    expect(predicate.buildDefinition.resolvedDependencies).toContainEqual({
      uri: 'docker://gcr.io/distroless/nodejs24-debian13:nonroot',
    })
  })

  test('holds the program and its dependencies, and no tests, emulator or build tools', async () => {
    expect(readdirSync(join(files, 'app')).toSorted()).toEqual([
      'LICENSE',
      'config.schema.json',
      'dist',
      'node_modules',
      'package.json',
    ])
    expect(readdirSync(join(files, 'app/dist')).toSorted()).toEqual(['cmd'])
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string>
    >
    const installed = (name: string): boolean => existsSync(join(files, 'app/node_modules', name))
    expect(Object.keys(dependencies ?? {}).filter((name) => !installed(name))).toEqual([])
    // A package that a dependency of the program needs may be there.
    const listed = JSON.parse(
      (await run('npm', ['ls', '--omit=dev', '--all', '--json'], { cwd: join(files, 'app') })).stdout,
    ) as Tree
    const needed = names(listed)
    expect(Object.keys(devDependencies ?? {}).filter((name) => installed(name) && !needed.has(name))).toEqual([])
  })

  test('has no set-uid file and no shell, and only its data can be written', async () => {
    const found = async (...expression: string[]): Promise<string[]> =>
      (await run('find', [files, '-xdev', ...expression])).stdout
        .split('\n')
        .filter(Boolean)
        .map((path) => path.slice(files.length))
    expect(await found('-perm', '/6000')).toEqual([])
    expect(await found('-name', 'sh', '-o', '-name', 'bash', '-o', '-name', 'npm', '-o', '-name', 'apt*')).toEqual([])
    // A base may give the user a home.
    expect((await found('-user', '65532')).filter((path) => !path.startsWith('/home/'))).toEqual(['/var/lib/postern'])
    expect(await found('-perm', '/0002', '!', '-type', 'l')).toEqual(['/tmp'])
  })

  test('is below its size limit', async () => {
    const megabytes = async (path: string): Promise<number> =>
      Number((await run('du', ['-sm', join(files, path)])).stdout.split('\t')[0])
    const [program, everything] = [await megabytes('app'), await megabytes('')]
    process.stdout.write(`image: ${program} MB of program and dependencies, ${everything} MB with Node\n`)
    expect(program).toBeLessThan(70)
  })

  test('postern version and check run in it', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    const folders = volumes('authenticate_service_url: https://authenticate.example.com\nalowed: 1\n')
    expect(await exited(start(folders, ['version']))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(version),
    })
    const checked = await exited(start(folders, ['check', '/etc/postern/config.yaml']))
    expect(checked).toMatchObject({ code: 3, stderr: expect.stringContaining('/etc/postern/config.yaml:2:1') })
  })

  describe('running', () => {
    let okta: OktaEmulator
    let app: Server
    let postern: ChildProcess
    let log = ''
    let ended: ReturnType<typeof exited>
    let folders: ReturnType<typeof volumes>

    beforeAll(async () => {
      const address = 'http://authenticate.localhost'
      okta = await createOktaEmulator({
        seed: demoSeed({ redirectUris: [`${address}/oauth2/callback`], postLogoutRedirectUris: [] }),
      })
      app = await listenOn(
        createServer((req, res) => res.end(`hello ${req.headers['x-postern-claim-email'] as string}`)),
      )
      folders = volumes(`
authenticate_service_url: ${address}
address: 127.0.0.1:0
health_check_addr: 127.0.0.1:0
idp_provider_url: ${okta.url}
idp_client_id: ${DEMO.clientId}
idp_client_secret: ${DEMO.clientSecret}
idp_service_account: ${DEMO.apiToken}
shared_secret: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
storage: {type: embedded, path: /var/lib/postern}
drain_delay: 0s
pass_identity_headers: true
jwt_claims_headers: [email]
routes:
  - {from: http://engineering.localhost, to: http://127.0.0.1:${portOf(app)}, allowed_groups: [Engineering]}
`)
      postern = start(folders, ['run', '--config', '/etc/postern/config.yaml'])
      ended = exited(postern)
      await new Promise<void>((resolve, reject) => {
        postern.stdout?.on('data', (chunk: Buffer) => {
          log += chunk.toString()
          if (log.includes('side listeners')) resolve()
        })
        void ended.then(({ code, stderr }) => reject(new Error(`ended with ${code}: ${stderr}${log}`)))
      })
    })

    afterAll(async () => {
      postern?.kill('SIGKILL')
      await okta?.close()
      app?.closeAllConnections()
      app?.close()
    })

    /** `address` of the first log line with this message. */
    function addressIn(message: string, field: string): string {
      const lines = log
        .split('\n')
        .filter(Boolean)
        .map((text) => JSON.parse(text) as Record<string, unknown>)
      return String(lines.find((line) => line['msg'] === message)?.[field])
    }

    test('a person signs in and reaches the application', async () => {
      const port = Number(addressIn('listening', 'address').split(':')[1])
      const browser = createBrowser(() => port)
      const form = await browser.go('http://engineering.localhost/')
      expect(form.url.origin).toBe(okta.url)
      const action = /<form[^>]*action="([^"]+)"/.exec(form.body)?.[1] ?? ''
      const posted = await browser.ask(new URL(action.replaceAll('&amp;', '&'), form.url), {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'text/html',
          'sec-fetch-mode': 'navigate',
        },
        body: 'identifier=alice%40example.com',
      })
      const answer = await browser.go(new URL(posted.headers.location ?? '', posted.url))
      expect(answer).toMatchObject({ status: 200, body: 'hello alice@example.com' })
    })

    test('the probe of the image succeeds', async ({ skip }) => {
      const help = await exited(start(folders, ['--help']))
      if (!/^ *health\b/m.test(help.stdout)) skip('`postern health` is not there yet')
      const { code, stderr } = await exited(start(folders, ['health', '--addr', addressIn('side listeners', 'health')]))
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    })

    test('it wrote only to its data directory, and ends with 0 on SIGTERM', async () => {
      // The root was mounted read-only, so anything else would have failed.
      expect(readdirSync(folders.data).length).toBeGreaterThan(0)
      postern.kill('SIGTERM')
      expect(await ended).toMatchObject({ code: 0, stderr: '' })
    })
  })
})

interface Tree {
  readonly dependencies?: Readonly<Record<string, Tree>>
}

function names(tree: Tree): ReadonlySet<string> {
  return new Set(Object.entries(tree.dependencies ?? {}).flatMap(([name, inner]) => [name, ...names(inner)]))
}

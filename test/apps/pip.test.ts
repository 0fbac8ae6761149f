/** A Python package index behind Postern: pip and twine on a public route, and with a service token. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Behind, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Running, run, startServer } from './process.ts'

const pypiserver = installed('pypiserver', { from: 'pypi', packages: ['pypiserver==2.4.2', 'twine==6.2.0'] })

/** A wheel is a zip with three files of metadata; 3 MB that do not compress. */
const WHEEL = `
import os, zipfile
with zipfile.ZipFile("corp_tool-1.2.3-py3-none-any.whl", "w") as wheel:
    wheel.writestr("corp_tool.py", "answer = 42\\n")
    wheel.writestr("corp_tool.bin", os.urandom(3_000_000))
    wheel.writestr("corp_tool-1.2.3.dist-info/METADATA", "Metadata-Version: 2.1\\nName: corp-tool\\nVersion: 1.2.3\\n")
    wheel.writestr("corp_tool-1.2.3.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("corp_tool-1.2.3.dist-info/RECORD", "")
`

describe.skipIf(!pypiserver.bin)(pypiserver.name('pypiserver behind Postern'), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-pip-'))
  const { bin } = pypiserver
  let server: Running
  let behind: Behind
  beforeAll(async () => {
    const packages = join(folder, 'packages')
    mkdirSync(packages)
    const port = await freePort()
    const listen = ['run', '--interface', '127.0.0.1', '--port', String(port)]
    server = await startServer([`${bin}/pypi-server`, ...listen, '-P', '.', '-a', '.', packages], port)
    behind = await startBehind(`http://127.0.0.1:${port}`)
  })
  afterAll(async () => {
    await behind?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('twine uploads a wheel, and pip installs it', async () => {
    expect(await run([`${bin}/python`, '-c', WHEEL], { cwd: folder })).toMatchObject({ code: 0 })
    const upload = ['upload', '--repository-url', `${behind.publicUrl}/`, '--non-interactive', '-u', 'any', '-p', 'any']
    const wheel = join(folder, 'corp_tool-1.2.3-py3-none-any.whl')
    expect(await run([`${bin}/twine`, ...upload, wheel], { cwd: folder })).toMatchObject({ code: 0 })
    const target = join(folder, 'target')
    const from = ['--isolated', '--no-cache-dir', '--index-url', `${behind.publicUrl}/simple/`, '--target', target]
    expect(await run([`${bin}/pip`, 'install', ...from, 'corp-tool==1.2.3'])).toMatchObject({ code: 0 })
    expect(readFileSync(join(target, 'corp_tool.py'), 'utf8')).toBe('answer = 42\n')
  })

  test('with a service token as password they upload and install, too, and without one they are refused', async () => {
    const token = await behind.token()
    const { host } = new URL(behind.programsUrl)
    const upload = ['upload', '--repository-url', `${behind.programsUrl}/`, '--non-interactive']
    expect(await run([`${bin}/python`, '-c', WHEEL.replaceAll('corp', 'ci')], { cwd: folder })).toMatchObject({
      code: 0,
    })
    const wheel = join(folder, 'ci_tool-1.2.3-py3-none-any.whl')
    expect(await run([`${bin}/twine`, ...upload, '-u', '__token__', '-p', token, wheel])).toMatchObject({ code: 0 })
    expect((await run([`${bin}/twine`, ...upload, '-u', 'any', '-p', 'any', wheel])).code).not.toBe(0)
    const install = (index: string, name: string) =>
      run([
        `${bin}/pip`,
        'install',
        '--isolated',
        '--no-input',
        '--no-cache-dir',
        '--target',
        join(folder, name),
        '--index-url',
        index,
        'ci-tool',
      ])
    expect(await install(`http://__token__:${token}@${host}/simple/`, 'by-token')).toMatchObject({ code: 0 })
    const before = behind.world.log().length
    expect((await install(`${behind.programsUrl}/simple/`, 'stranger')).code).toBe(1)
    // Asked for a password, and not led to a page to sign in.
    const statuses = behind.world
      .log()
      .slice(before)
      .flatMap(({ path, status }) => (path === '/simple/ci-tool/' ? [status] : []))
    expect(new Set(statuses)).toEqual(new Set([401]))
  })
})

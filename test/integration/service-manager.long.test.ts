/** The built program as a service of systemd: what it tells `NOTIFY_SOCKET`, and a unit that systemd takes. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { main, openConfig } from '../support/built-program.ts'

const has = (command: string): boolean => spawnSync(command, ['--version']).status === 0

/** Node has no datagrams of Unix. An address that begins with @ is in the abstract name space. */
const LISTENER = `
import socket, sys
address = sys.argv[1]
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind('\\0' + address[1:] if address[0] == '@' else address)
print('bound', flush=True)
while True:
    for line in heard.recv(4096).decode().splitlines():
        print(line, flush=True)
`

let folder: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-service-'))
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true })
})

async function listener(address: string): Promise<string[]> {
  const child = spawn('python3', ['-c', LISTENER, address], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  await expect.poll(() => lines).toContain('bound')
  return lines
}

describe.runIf(has('systemd-notify') && has('python3')).each([
  ['a path', 1, (): string => join(folder, 'notify')],
  ['the abstract name space, workers', 2, (): string => `@postern-test-${process.pid}`],
])('NOTIFY_SOCKET in %s', (_, workers, addressOf) => {
  test('hears of the start, of a reload, of the watchdog and of the end', async () => {
    const address = addressOf()
    const heard = await listener(address)
    const file = join(folder, 'config.yaml')
    const storage = { type: 'embedded', path: join(folder, 'store') }
    writeFileSync(file, openConfig('http://127.0.0.1:9', { workers, storage }))
    const env = { ...process.env, NOTIFY_SOCKET: address, WATCHDOG_USEC: '600000' }
    const child = spawn(process.execPath, [main, 'run', '--config', file], { stdio: 'ignore', env })
    children.push(child)
    const count = (line: string): number => heard.filter((each) => each === line).length
    await expect.poll(() => count('READY=1'), { timeout: 60_000 }).toBe(1)
    expect(heard).toContainEqual(expect.stringMatching(/^STATUS=listening on 127\.0\.0\.1:\d+$/))
    await expect.poll(() => count('WATCHDOG=1')).toBeGreaterThan(1)
    child.kill('SIGHUP')
    await expect.poll(() => count('READY=1')).toBe(2)
    expect(heard.indexOf('RELOADING=1')).toBeLessThan(heard.lastIndexOf('READY=1'))
    expect(heard).toContainEqual(expect.stringMatching(/^MONOTONIC_USEC=\d+$/))
    writeFileSync(file, 'routes: 7\n')
    child.kill('SIGHUP')
    const refused = /^STATUS=listening on .*; the last change is not in force: .*config\.yaml:1:9/
    await expect.poll(() => heard).toContainEqual(expect.stringMatching(refused))
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    await expect.poll(() => count('STOPPING=1')).toBe(1)
  })
})

describe.runIf(has('systemd-analyze'))('packaging/systemd/postern.service', () => {
  const unit = fileURLToPath(new URL('../../packaging/systemd/postern.service', import.meta.url))

  test('is a unit that systemd knows all of', () => {
    const here = join(folder, 'postern.service')
    writeFileSync(here, readFileSync(unit, 'utf8').replaceAll('/usr/bin/postern', process.execPath))
    const { stderr, status } = spawnSync('systemd-analyze', ['verify', here], { encoding: 'utf8' })
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  })

  test('leaves the service an exposure of at most 2 of 10', () => {
    const shown = execFileSync('systemd-analyze', ['security', '--offline=yes', '--threshold=20', unit], {
      encoding: 'utf8',
    })
    expect(shown).toMatch(/Overall exposure level for postern\.service: 1\.\d OK/)
  })

  test('gives systemd longer than Postern takes to end', () => {
    const stop = Number(/^TimeoutStopSec=(\d+)$/m.exec(readFileSync(unit, 'utf8'))?.[1])
    expect(stop).toBeGreaterThan(30)
  })
})

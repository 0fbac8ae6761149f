/** `postern dev` as npm runs it: below a shell, which alone gets the signal that npm passes on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { expect, onTestFailed, test } from 'vitest'
import { freePort } from '../../e2e/browser/demo.ts'
import { main } from '../support/built-program.ts'

test('ends with the shell of npx, and leaves no port behind', async () => {
  const port = await freePort()
  const command = `'${process.execPath}' '${main}' dev --to http://127.0.0.1:9 --port ${port} & echo $!; wait`
  const shell = spawn('sh', ['-c', command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_command: 'exec' },
  })
  const [pid] = (await once(createInterface({ input: shell.stdout }), 'line')) as [string]
  onTestFailed(() => void process.kill(Number(pid), 'SIGKILL'))
  let said = ''
  shell.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  await expect.poll(() => said, { timeout: 60_000 }).toContain('Ctrl-C ends everything')
  // Nobody but the program writes to it any more once the shell has gone.
  const ended = once(shell.stderr, 'close')
  shell.kill('SIGTERM')
  await ended
  const socket = connect(port, '127.0.0.1')
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ECONNREFUSED')
})

/** The examples for Express and Django: each takes the person from the identity JWT. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { identitySuite } from './identity-suite.ts'
import { installed } from './installed.ts'

const at = (path: string): string => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'postern-frameworks-'))
afterAll(() => rmSync(folder, { recursive: true }))

const express = installed('example-express', { from: 'npm', packages: ['express@5.3.0', 'jose@6.2.17'] })
identitySuite('express', {
  needs: express,
  command() {
    const beside = join(express.bin ?? '', '../..')
    for (const file of ['server.mjs', 'postern.mjs']) cpSync(at(`express/${file}`), join(beside, file))
    return [process.execPath, join(beside, 'server.mjs')]
  },
})

const django = installed('example-django', { from: 'requirements', file: at('django/requirements.txt') })
const DATABASE = join(folder, 'db.sqlite3')
identitySuite('django', {
  needs: django,
  env: { DATABASE },
  command(port) {
    const [python, ...manage] = [`${django.bin}/python`, '-B', at('django/manage.py')] as const
    execFileSync(python, [...manage, 'migrate', '--verbosity', '0'], { env: { DATABASE }, timeout: 60_000 })
    return [python, ...manage, 'runserver', '--noreload', `127.0.0.1:${port}`]
  },
})

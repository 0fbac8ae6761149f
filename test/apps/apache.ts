/** A real Apache httpd with one virtual host. Tests only. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Running, startServer } from './process.ts'

/** Where Debian puts the modules. */
const MODULES = '/usr/lib/apache2/modules'
/** Apache does not serve as root. */
const UNPRIVILEGED = 'www-data'

/** `folder` is its own: what is served, and what it writes. */
export async function startApache(
  folder: string,
  modules: readonly string[],
  configuration: string,
): Promise<Running & { readonly url: string }> {
  const port = await freePort()
  const isRoot = process.getuid?.() === 0
  writeFileSync(
    join(folder, 'apache.conf'),
    `${['mpm_prefork', 'authz_core', ...modules].map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
ServerName app.internal
Listen 127.0.0.1:${port}
${isRoot ? `User ${UNPRIVILEGED}\nGroup ${UNPRIVILEGED}` : ''}
<Directory />
  Require all granted
</Directory>
${configuration}
`,
  )
  if (isRoot) execFileSync('chown', ['-R', UNPRIVILEGED, folder])
  const server = await startServer(['apache2', '-f', join(folder, 'apache.conf'), '-DFOREGROUND'], port, {
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
  })
  return { ...server, url: `http://127.0.0.1:${port}` }
}

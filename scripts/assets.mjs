// Copies what tsc does not: files that the program reads at run time, beside the modules that read them.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
for (const file of ['src/pages/style.css']) {
  if (!existsSync(root + file)) continue
  mkdirSync(dirname(`${root}dist/${file}`), { recursive: true })
  copyFileSync(root + file, `${root}dist/${file}`)
}

// Puts the program together from its sources: dist/cmd/postern/main.js, its parts, and the licences of the packages in
// them. A start reads a few files instead of a thousand. Nothing is renamed or squeezed: a stack can be read as it is,
// and the maps lead back to the sources.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = `${root}dist/cmd/postern`

/** A package that only some processes need is required in the middle of a function. There the bundle has its copy, too. */
const ownRequire = {
  name: 'own-require',
  transform: {
    filter: { id: { exclude: /node_modules/ }, code: 'createRequire(import.meta.url)' },
    // Blanks, so that no position moves.
    handler: (code) => ({
      code: code.replace(/const require = createRequire\(import\.meta\.url\)/, (all) => ' '.repeat(all.length)),
      map: null,
    }),
  },
}

/** Of each package in the bundle its name and its licence. */
function notices(chunks) {
  const folders = new Set(
    chunks.flatMap(({ moduleIds }) =>
      moduleIds.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []),
    ),
  )
  const packages = [...folders].map((at) => {
    const { name, version, license } = JSON.parse(readFileSync(`${at}/package.json`, 'utf8'))
    return [`${name} ${version} (${license})`, ...licences(at)].join('\n\n')
  })
  return packages.sort().join(`\n\n${'-'.repeat(80)}\n\n`)
}

function licences(at) {
  const read = (file) => readFileSync(`${at}/${file}`, 'utf8')
  const files = readdirSync(at)
  const texts = files.filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(file)).map(read)
  if (texts.length > 0) return texts.map((text) => text.trim())
  // Some have it at the end of their README.
  return files
    .filter((file) => /^readme/i.test(file))
    .flatMap((file) => /^(?:#+ *)?licen[cs]e\b.*\n(?:[-=]+\n)?([^]*)/im.exec(read(file))?.[1]?.trim() ?? [])
}

const bundle = await rolldown({
  input: { main: `${root}cmd/postern/main.ts` },
  cwd: root,
  platform: 'node',
  tsconfig: `${root}tsconfig.json`,
  // lmdb looks for its native part beside itself; pg takes its native variant only where somebody installed it.
  external: [/^lmdb(?:\/|$)/, 'pg-native'],
  plugins: [ownRequire],
  onLog: (level, { message }) => {
    if (level === 'warn') throw new Error(message)
  },
})
rmSync(dirname(folder), { recursive: true, force: true })
const { output } = await bundle.write({
  dir: folder,
  format: 'esm',
  sourcemap: true,
  sourcemapExcludeSources: true,
  chunkFileNames: 'parts/[name]-[hash].js',
})
await bundle.close()
writeFileSync(`${folder}/NOTICE`, `${notices(output.filter(({ type }) => type === 'chunk'))}\n`)

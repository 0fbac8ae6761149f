import { type Place, quoted, type Value } from './places.ts'

/** For `eval "$(postern completion bash)"`; needs no package of completions. */
export function bashCompletion(places: readonly Place[]): string {
  const paths = places.slice(1).map(({ path }) => quoted(path))
  return `# bash completion of postern. In ~/.bashrc: eval "$(postern completion bash)"
_postern() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} at=postern words='' files='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
      ${paths.join(' | ')}) at="$at $word" ;;
    esac
  done
  case "$at:$prev" in
${places.flatMap(valueCases).join('\n')}
    *)
      case "$at" in
${places.map(placeCase).join('\n')}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ -n "$files" ]; then
    compopt -o filenames
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
  fi
}
complete -F _postern postern
`
}

function valueCases({ path, options }: Place): readonly string[] {
  return options
    .filter(({ value }) => value.kind !== 'none')
    .map(
      ({ flags, value }) => `    ${flags.map((flag) => quoted(`${path}:${flag}`)).join(' | ')}) ${set([], value)} ;;`,
    )
}

function placeCase({ path, commands, options, argument }: Place): string {
  const words = [...commands.map(({ name }) => name), ...options.flatMap(({ flags }) => flags)]
  return `        ${quoted(path)}) ${set(words, argument)} ;;`
}

function set(words: readonly string[], value: Value): string {
  const all = value.kind === 'choices' ? [...value.choices, ...words] : words
  return `words=${quoted(all.join(' '))}${value.kind === 'file' ? ' files=yes' : ''}`
}

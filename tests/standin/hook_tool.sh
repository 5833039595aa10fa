#!/bin/bash
# A hook tool, as the charm finds it on its PATH: every tool's name is a link to this file.
#
# Hands its name, its arguments and, where one of them is "-", its input to the unit agent, and prints the answer. A charm
# calls dozens of tools in every hook, and bash starts several times faster than Python.
LC_ALL=C # so that lengths are bytes
tool=${0##*/}
parts=("$tool")
input=
for argument in "$@"; do
    if [[ $argument == - ]]; then
        IFS= read -r -d '' input
    elif [[ $tool == secret-?et || $tool == secret-add ]] && [[ $argument == *'#file='* ]]; then
        # KEY#file=PATH: so secrets come, and the agent sees none of the charm's files.
        IFS= read -r -d '' content <"${argument#*'#file='}"
        argument=${argument%%'#file='*}=$content
    fi
    parts+=("$argument")
done
exec 3<>"/dev/tcp/${JUJU_AGENT_SOCKET_ADDRESS/://}"
parts+=("$input")
{
    printf '%d\n' "${#parts[@]}"
    for part in "${parts[@]}"; do printf '%d\n%s' "${#part}" "$part"; done
} >&3
read -r code <&3
if ((code)); then cat <&3 >&2; else cat <&3; fi
exit "$code"

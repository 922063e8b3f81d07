# EBB_SIMD: the kernel sources for the target's processor, each folder with the flags of its ISA. Only
# these folders may contain instructions beyond the base ISA (tests/laws/isa.sh).
file(GLOB EBB_SIMD CONFIGURE_DEPENDS simd/*.c simd/c/*.c)
list(FILTER EBB_SIMD EXCLUDE REGEX "/cpu_[a-z0-9]+\\.c$")

function(ebb_isa folder)
  file(GLOB sources CONFIGURE_DEPENDS simd/${folder}/*.c)
  set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "${ARGN}")
  set(EBB_SIMD ${EBB_SIMD} ${sources} PARENT_SCOPE)
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  file(GLOB cpu CONFIGURE_DEPENDS simd/cpu_x86.c)
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512)
  ebb_isa(avx2 -mavx2 -mfma -mf16c)
  ebb_isa(avx512 ${avx512})
  ebb_isa(avx512bf16 ${avx512} -mavx512bf16)
  ebb_isa(amx ${avx512} -mavx512bf16 -mamx-tile -mamx-bf16)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  file(GLOB cpu CONFIGURE_DEPENDS simd/cpu_arm.c)
  ebb_isa(neon)
  ebb_isa(neonbf16 -march=armv8.2-a+bf16)
endif()
list(APPEND EBB_SIMD ${cpu})
